"""Files, directories and links of the storage section."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from typing import IO, TYPE_CHECKING

from nestos.base.errors import NestosError
from nestos.ignition.engine.files.accounts import group_id, user_id
from nestos.ignition.engine.files.place import UNCHANGED, OccupiedError, Places, remove, status
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.transport import Transport, fetch, named
from nestos.ignition.spec.paths import cleaned
from nestos.ignition.spec.urls import scheme_of

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Directory, File, Link, Node, NodeOwner, Resource, Storage

_FILE_MODE = 0o644
_DIRECTORY_MODE = 0o755
_IN_CONFIG = ("data", "")
_REPLACE = "set overwrite to true to replace it"


class SamePlaceError(NestosError):
    """Two entries of the config lead to one path once links are followed."""

    kind = "same-place"


@dataclass(frozen=True, kw_only=True)
class Work:
    """An entry of the config with its key, the place where it goes, and what puts it there.

    ``conflict``: why it cannot go there, or the empty string; it takes what is at the place now.
    """

    what: str
    key: str
    node: Node
    path: str
    act: Callable[[str, os.stat_result | None], None]
    conflict: Callable[[str, os.stat_result], str]


@dataclass(kw_only=True)
class Writer:
    """Writes nodes below one root. Names of owners are looked up in its account files once."""

    job: Job
    places: Places
    transport: Transport
    _users: dict[str, int] = field(default_factory=dict)
    _groups: dict[str, int] = field(default_factory=dict)
    _found: tuple[Storage, list[Work]] | None = None

    def forget(self) -> None:
        """To be called when links in the root may have changed."""
        self.places.forget()
        self._found = None

    def write(self, storage: Storage) -> None:
        """Makes everything that ``storage`` lists: shallow paths first, hard links last.

        Directories above an entry may be links, which are followed inside the root; the last element never is.
        """
        for work in self.ordered(storage):
            what = f'writing {work.what} "{work.node["path"]}"'
            with self.job.log.operation(what):
                try:
                    self._put(work)
                except OSError as error:
                    raise NestosError(f"{work.key}: {what}: {error.strerror or error}") from error

    def _put(self, work: Work) -> None:
        path = self.places.find(work.node["path"])  # again: links that were written since may lead elsewhere
        self.places.prepare(path)
        present = status(path)
        if present is not None and work.node.get("overwrite"):
            if work.what != "file":  # a file takes the place of what was there only once it is complete
                remove(path)
            if stat.S_ISLNK(present.st_mode):
                self.places.forget()
            present = None
        elif present is not None:
            problem = work.conflict(path, present)
            if problem:
                raise OccupiedError(f"{work.key}: {problem}", hint=_REPLACE)
        work.act(path, present)
        if work.what == "link":
            self.places.changed(path)

    def ordered(self, storage: Storage) -> list[Work]:
        """The entries in the order in which they are written, found once. Raises ``SamePlaceError``."""
        if self._found is None or self._found[0] is not storage:
            self._found = storage, self._ordered(storage)
        return self._found[1]

    def _ordered(self, storage: Storage) -> list[Work]:
        found: list[Work] = []
        last: list[Work] = []
        taken: dict[str, str] = {}

        def add(to: list[Work], what: str, key: str, node: Node, acts: _Acts) -> None:
            path = self.places.find(node["path"])
            if path in taken:
                raise SamePlaceError(
                    f"{key}: {what} at {node['path']} resolved to {path} after symlink chasing, "
                    f"but another entry with path {taken[path]} also resolves there"
                )
            taken[path] = node["path"]
            act, conflict = acts
            to.append(Work(what=what, key=key, node=node, path=path, act=act, conflict=conflict))

        for at, directory in enumerate(storage.get("directories", [])):
            acts = partial(self._directory, directory), partial(_no_directory, directory)
            add(found, "directory", f"$.storage.directories.{at}", directory, acts)
        for at, file in enumerate(storage.get("files", [])):
            add(
                found,
                "file",
                f"$.storage.files.{at}",
                file,
                (partial(self._file, file, f"$.storage.files.{at}"), partial(_no_file, file)),
            )
        for at, link in enumerate(storage.get("links", [])):
            if link.get("hard"):
                acts = partial(self._hard_link, link), partial(self._no_hard_link, link)
            else:
                acts = partial(self._symbolic_link, link), partial(_no_link, link)
            add(last if link.get("hard") else found, "link", f"$.storage.links.{at}", link, acts)
        found.sort(key=lambda work: work.path.count("/"))
        return [*found, *last]

    def _owner(self, node: Node) -> tuple[int, int]:
        """The numbers of the user and group that the config names, else ``UNCHANGED``."""
        uid, gid = UNCHANGED, UNCHANGED
        if "user" in node:
            uid = _number(node["user"], self._users, lambda name: user_id(self.job.root, name))
        if "group" in node:
            gid = _number(node["group"], self._groups, lambda name: group_id(self.job.root, name))
        return uid, gid

    def _directory(self, directory: Directory, path: str, present: os.stat_result | None) -> None:
        if present is None:
            os.mkdir(path, _DIRECTORY_MODE)
        uid, gid = self._owner(directory)
        self.places.give(path, uid=uid, gid=gid)
        if "mode" in directory:
            os.chmod(path, directory["mode"])

    def _file(self, file: File, key: str, path: str, present: os.stat_result | None) -> None:
        uid, gid = self._owner(file)
        if present is not None:
            if file.get("append"):
                self._append(_fragments(file, key), path)
            self.places.give(path, uid=uid, gid=gid)
            if "mode" in file:
                os.chmod(path, file["mode"])
            return
        mode = file.get("mode", _FILE_MODE)
        parts = [(f"{key}.contents.source", file.get("contents", {})), *_fragments(file, key)]
        if all(scheme_of(part.get("source", "")) in _IN_CONFIG for _, part in parts):
            self.places.put(path, self._together(parts).getvalue(), mode=mode, uid=uid, gid=gid)
            return
        with self.places.replacing(path, uid=uid, gid=gid, mode=mode) as target:
            self._fetch(parts, target)

    def _fetch(self, parts: _Parts, target: IO[bytes]) -> None:
        """All of ``parts``, fetched and verified, one behind the other."""
        for key, part in parts:
            target.seek(0, os.SEEK_END)
            with named(key):
                fetch(part, target, transport=self.transport)

    def _together(self, parts: _Parts) -> BytesIO:
        buffer = BytesIO()
        self._fetch(parts, buffer)
        return buffer

    def _append(self, parts: _Parts, path: str) -> None:
        """Adds the fragments once all of them are here and verified. The file stays the same one."""
        fragments = self._together(parts)
        with open(path, "ab") as target:
            target.write(fragments.getbuffer())

    def _symbolic_link(self, link: Link, path: str, present: os.stat_result | None) -> None:
        target = link.get("target", "")
        if present is not None:
            self.job.log.info(f"the link {link['path']} to {target} exists already")
            return
        os.symlink(target, path)
        uid, gid = self._owner(link)
        own = os.lstat(path)
        shared = _status_behind(path, target) or own
        # A link belongs to whom the thing belongs that it leads to, if the config does not say otherwise.
        uid = shared.st_uid if uid == UNCHANGED and shared.st_uid != own.st_uid else uid
        gid = shared.st_gid if gid == UNCHANGED and shared.st_gid != own.st_gid else gid
        self.places.give(path, uid=uid, gid=gid)

    def _hard_link(self, link: Link, path: str, present: os.stat_result | None) -> None:
        if present is None:
            os.link(self._target_of(link), path, follow_symlinks=False)
        else:
            self.job.log.info(f"the hard link {link['path']} to {link.get('target')} exists already")

    def _target_of(self, link: Link) -> str:
        return os.fspath(self.job.root.join(link.get("target", ""), follow_last=False))

    def _no_hard_link(self, link: Link, _path: str, present: os.stat_result) -> str:
        target = status(self._target_of(link))
        if target is not None and os.path.samestat(present, target):
            return ""
        return f"{link['path']} exists and is no hard link to {link.get('target')}, and overwrite is false"


_Parts = list[tuple[str, "Resource"]]
"""Resources with their keys."""

_Acts = tuple[Callable[[str, os.stat_result | None], None], Callable[[str, os.stat_result], str]]


def _fragments(file: File, key: str) -> _Parts:
    return [(f"{key}.append.{at}.source", part) for at, part in enumerate(file.get("append", []))]


def _number(owner: NodeOwner, known: dict[str, int], look_up: Callable[[str], int]) -> int:
    if "id" in owner:
        return owner["id"]
    name = owner.get("name")
    if not name:
        return UNCHANGED
    if name not in known:
        known[name] = look_up(name)
    return known[name]


def _status_behind(path: str, target: str) -> os.stat_result | None:
    """What a relative link leads to, or none. An absolute one would be followed in the wrong root."""
    try:
        return None if target.startswith("/") else os.stat(path)
    except OSError:
        return None


def _no_directory(directory: Directory, _path: str, present: os.stat_result) -> str:
    if stat.S_ISDIR(present.st_mode):
        return ""
    return f"{directory['path']} exists and is not a directory, and overwrite is false"


def _no_file(file: File, _path: str, present: os.stat_result) -> str:
    if not stat.S_ISREG(present.st_mode):
        return f"{file['path']} exists and is not a regular file, and overwrite is false"
    return f"{file['path']} exists already, and overwrite is false" if "source" in file.get("contents", {}) else ""


def _no_link(link: Link, path: str, present: os.stat_result) -> str:
    target = link.get("target", "")
    if stat.S_ISLNK(present.st_mode) and cleaned(os.readlink(path)) == cleaned(target):
        return ""
    return f"{link['path']} exists and is no link to {target}, and overwrite is false"
