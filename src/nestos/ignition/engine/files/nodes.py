"""Files, directories and links of the storage section."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from nestos.base.errors import NestosError
from nestos.ignition.engine.files.accounts import group_id, user_id
from nestos.ignition.engine.files.place import OccupiedError, make_parents, remove, replacing
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.transport import Transport, fetch
from nestos.ignition.spec.model import Directory, File, Link, Node, Storage
from nestos.ignition.spec.rules.paths import depth

_FILE_MODE = 0o644
_DIRECTORY_MODE = 0o755


class SamePlaceError(NestosError):
    """Two entries of the config lead to one path once links are followed."""

    kind = "same-place"


@dataclass(frozen=True, kw_only=True)
class _Work:
    """An entry, the place where it goes, and what puts it there."""

    what: str
    node: Node
    path: Path
    act: Callable[[Path], None]
    last: bool = False


def write_nodes(job: Job, storage: Storage, *, transport: Transport) -> None:
    """Makes everything that ``storage`` lists: shallow paths first, hard links last.

    Directories above an entry may be links, which are followed inside the root; the last element never is.
    """
    for work in _ordered(job, storage, transport=transport):
        what = f'writing {work.what} "{work.node["path"]}"'
        with job.log.operation(what):
            try:
                make_parents(work.path, owners=job.machine.owners)
                work.act(work.path)
            except OSError as error:
                raise NestosError(f"{what}: {error.strerror or error}") from error


def _ordered(job: Job, storage: Storage, *, transport: Transport) -> list[_Work]:
    work: list[_Work] = []
    taken: dict[Path, str] = {}

    def add(what: str, node: Node, act: Callable[[Path], None], *, last: bool = False) -> None:
        path = job.root.join(node["path"], follow_last=False)
        if path in taken:
            raise SamePlaceError(
                f"the {what} at {node['path']} and the entry at {taken[path]} lead to the same place, "
                f"/{path.relative_to(job.root.path)}, once links are followed"
            )
        taken[path] = node["path"]
        work.append(_Work(what=what, node=node, path=path, act=act, last=last))

    for directory in storage.get("directories", []):
        add("directory", directory, partial(_write_directory, job, directory))
    for file in storage.get("files", []):
        add("file", file, partial(_write_file, job, file, transport))
    for link in storage.get("links", []):
        act = _write_hard_link if link.get("hard") else _write_symbolic_link
        add("link", link, partial(act, job, link), last=link.get("hard", False))
    return sorted(work, key=lambda item: (item.last, depth(item.node["path"])))


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _owner(job: Job, node: Node, present: os.stat_result | None) -> tuple[int, int]:
    """The numbers of the user and group to give: as the config says, else as they are, else root's."""
    user, group = node.get("user", {}), node.get("group", {})
    uid = user.get("id", present.st_uid if present else 0)
    gid = group.get("id", present.st_gid if present else 0)
    if user.get("name"):
        uid = user_id(job.root, user["name"])
    if group.get("name"):
        gid = group_id(job.root, group["name"])
    return uid, gid


def _write_directory(job: Job, directory: Directory, path: Path) -> None:
    present = _status(path)
    if present is not None and directory.get("overwrite"):
        remove(path)
        present = None
    if present is not None and not stat.S_ISDIR(present.st_mode):
        raise OccupiedError(
            f"{directory['path']} is not a directory, and the config does not say to overwrite it",
            hint="set overwrite to true to replace it",
        )
    uid, gid = _owner(job, directory, present)
    if present is None:
        path.mkdir()
    mode = directory.get("mode", stat.S_IMODE(present.st_mode) if present else _DIRECTORY_MODE)
    job.machine.owners.give(path, uid=uid, gid=gid)
    path.chmod(mode)


def _write_file(job: Job, file: File, transport: Transport, path: Path) -> None:
    present = _status(path)
    contents = file.get("contents", {})
    has_source = "source" in contents
    if present is not None and not file.get("overwrite"):
        if not stat.S_ISREG(present.st_mode):
            raise OccupiedError(
                f"{file['path']} is not a regular file, and the config does not say to overwrite it",
                hint="set overwrite to true to replace it",
            )
        if has_source:
            raise OccupiedError(
                f"{file['path']} exists already, and the config does not say to overwrite it",
                hint="set overwrite to true to replace it, or use append to add to it",
            )
    kept = present if present is not None and not has_source else None
    uid, gid = _owner(job, file, kept)
    mode = file.get("mode", stat.S_IMODE(kept.st_mode) if kept else _FILE_MODE)
    if kept is not None and not file.get("append"):
        job.machine.owners.give(path, uid=uid, gid=gid)
        path.chmod(mode)
        return
    with replacing(path, uid=uid, gid=gid, mode=mode, owners=job.machine.owners) as target:
        if kept is not None:
            _copy(path, target)
        else:
            fetch(contents, target, transport=transport)
        for fragment in file.get("append", []):
            target.seek(0, os.SEEK_END)
            fetch(fragment, target, transport=transport)


def _copy(path: Path, target: IO[bytes]) -> None:
    with path.open("rb") as source:
        shutil.copyfileobj(source, target)


def _write_symbolic_link(job: Job, link: Link, path: Path) -> None:
    target = link.get("target", "")
    present = _status(path)
    if present is not None:
        same = stat.S_ISLNK(present.st_mode) and path.readlink() == Path(target)
        if link.get("overwrite"):
            remove(path)
        elif not same:
            raise OccupiedError(
                f"{link['path']} exists and is no link to {target}, and the config does not say to overwrite it",
                hint="set overwrite to true to replace it",
            )
    uid, gid = _owner(job, link, _status(path))
    if _status(path) is None:
        path.symlink_to(target)
    job.machine.owners.give(path, uid=uid, gid=gid)


def _write_hard_link(job: Job, link: Link, path: Path) -> None:
    target = job.root.join(link.get("target", ""), follow_last=False)
    present = _status(path)
    if present is not None:
        if link.get("overwrite"):
            remove(path)
        elif target.exists() and os.path.samestat(present, target.lstat()):
            return
        else:
            raise OccupiedError(
                f"{link['path']} exists and is no hard link to {link.get('target')}, "
                "and the config does not say to overwrite it",
                hint="set overwrite to true to replace it",
            )
    os.link(target, path, follow_symlinks=False)
