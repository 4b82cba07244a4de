"""Labels of SELinux for all that the stage wrote, where the image has a policy."""

from __future__ import annotations

import os

from nestos.base.errors import InputError
from nestos.ignition.engine.files.place import Places, status
from nestos.ignition.engine.job import Job

_CONFIG = "/etc/selinux/config"
_ACCOUNT_FILES = ("passwd", "group", "shadow", "gshadow", "subuid", "subgid", ".pwd.lock")


def wants_labels(job: Job) -> bool:
    """True if the image has a policy, so that what is written has to be labelled."""
    return job.root.join(_CONFIG).is_file()


def account_files(job: Job) -> list[str]:
    """The account files with their backups; tools that changed accounts may have made any of them anew."""
    folder = job.root.join("/etc")
    if not folder.is_dir():
        return []
    return [str(path) for path in sorted(folder.iterdir()) if path.name.startswith(_ACCOUNT_FILES)]


def label(job: Job, places: Places) -> None:
    """Labels everything that was touched, by the policy of the root."""
    touched = [path for path in dict.fromkeys(places.touched or []) if status(path) is not None]
    if not touched:
        return
    contexts = job.root.join(f"/etc/selinux/{_policy(job)}/contexts/files/file_contexts")
    with job.log.operation(f"relabeling {len(touched)} patterns"):
        job.machine.runner(
            ["setfiles", "-vF0", "-r", os.fspath(job.root.path), contexts, "-f", "-"],
            stdin="".join(f"{path}\0" for path in touched),
        )


def _policy(job: Job) -> str:
    for line in job.root.join(_CONFIG).read_text(errors="replace").splitlines():
        name, equals, value = line.strip().partition("=")
        if name == "SELINUXTYPE" and equals and value:
            return value
    raise InputError(f"didn't find SELINUXTYPE in {_CONFIG} of {job.root.path}")
