"""Accounts, then files, directories and links, then units, then what other stages left, and the result."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nestos.base.errors import NestosError
from nestos.ignition.engine.files import leftovers, selinux
from nestos.ignition.engine.files.accounts import find_user
from nestos.ignition.engine.files.crypttab import write_crypttab
from nestos.ignition.engine.files.nodes import Writer
from nestos.ignition.engine.files.passwd import home_of, write_passwd
from nestos.ignition.engine.files.place import Places
from nestos.ignition.engine.files.plan import obstacles, sentences
from nestos.ignition.engine.files.result import write_result
from nestos.ignition.engine.files.units import write_units
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.transport import Transport

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Config, Passwd, Storage


class ObstacleError(NestosError):
    """The root is such that the config cannot be carried out. Nothing was written."""

    kind = "obstacle"


def run(job: Job) -> None:
    """Writes everything into the root. Raises ``ObstacleError`` before it begins.

    Nothing is flushed to the disk: what ends the first boot does that, before it removes the stamp.
    """
    config = job.read_config()
    leftovers.undo(job)
    places = Places(root=job.root, owners=job.machine.owners, touched=[] if selinux.wants_labels(job) else None)
    transport = Transport.of(job).configured(config)
    writer = Writer(job=job, places=places, transport=transport)
    refuse_obstacles(job, config, writer)
    provided: Storage = {"files": job.read_state().get("providerOutputFiles") or []}
    leftovers.note(job, _written(job, config, writer, provided))
    with job.log.within("passwd"):
        write_passwd(job, config.get("passwd", {}))
        _note_accounts(job, config.get("passwd", {}), places)
    if config.get("passwd"):
        writer.forget()  # the tools make and move homes
    write(job, config, places=places, writer=writer)
    write_crypttab(job, config.get("storage", {}), places=places)
    writer.write(provided)
    write_result(job, places=places)
    if places.touched is not None:
        selinux.label(job, places)


def _written(job: Job, config: Config, writer: Writer, provided: Storage) -> list[str]:
    """Where all goes that is not below ``/etc``: nodes, and the homes of users."""
    users = [user for user in config.get("passwd", {}).get("users", []) if user.get("shouldExist", True)]
    homes = [os.fspath(home_of(job, user)) for user in users if not user.get("noCreateHome")]
    works = [*writer.ordered(provided), *writer.ordered(config.get("storage", {}))]
    return [*homes, *(work.path for work in works)]


def write(job: Job, config: Config, *, places: Places, writer: Writer) -> None:
    """Writes nodes and units: all that can be written into any root, running ones and images too."""
    with job.log.within("storage"):
        writer.write(config.get("storage", {}))
    with job.log.within("units"):
        write_units(job, config.get("systemd", {}), places=places)


def plan(job: Job) -> list[str]:
    """What ``run`` would do, a sentence for each change. Reads only. Raises ``ObstacleError`` as ``run`` would."""
    config = job.read_config()
    places = Places(root=job.root, owners=job.machine.owners)
    writer = Writer(job=job, places=places, transport=Transport.of(job))
    refuse_obstacles(job, config, writer)
    return sentences(job, config, writer)


def refuse_obstacles(job: Job, config: Config, writer: Writer) -> None:
    """Raises ``ObstacleError`` with everything that is known to stand in the way."""
    found = obstacles(job, config, writer)
    if found:
        raise ObstacleError("\n".join(found), hint="nothing was written")


def _note_accounts(job: Job, passwd: Passwd, places: Places) -> None:
    """Has the account files and the homes of users labelled."""
    if places.touched is None or not (passwd.get("users") or passwd.get("groups")):
        return
    places.touched += selinux.account_files(job)
    for user in passwd.get("users", []):
        account = find_user(job.root, user["name"])
        if account is not None and not user.get("noCreateHome"):
            places.touched.append(os.fspath(job.root.join(account.home)))
