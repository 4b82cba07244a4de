"""What the files stage would do, in sentences; and what stands in its way, all of it before anything is written."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nestos.ignition.engine.files.accounts import find_group, find_user
from nestos.ignition.engine.files.nodes import Work, Writer
from nestos.ignition.engine.files.place import status
from nestos.ignition.engine.files.units import preset_lines
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.transport import shown

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Config, Group, Node, Passwd, Systemd, User


def sentences(job: Job, config: Config, writer: Writer) -> list[str]:
    """A sentence for each change, in order. Reads only. Secrets are not told."""
    passwd = config.get("passwd", {})
    storage = config.get("storage", {})
    return [
        *(_group(job, group) for group in passwd.get("groups", [])),
        *(_user(job, user) for user in passwd.get("users", [])),
        *(_node(work) for work in writer.ordered(storage)),
        *_units(config.get("systemd", {})),
        *(f"volume {volume['name']} is added to /etc/crypttab" for volume in storage.get("luks", [])),
    ]


def _user(job: Job, user: User) -> str:
    exists = find_user(job.root, user["name"]) is not None
    if user.get("shouldExist") is False:
        return f"user {user['name']} is {'deleted with its home' if exists else 'not there, and stays so'}"
    plain: dict[str, object] = {**user}
    told = [f"{name} {plain[name]}" for name in ("uid", "primaryGroup", "homeDir", "shell") if name in plain]
    told += [f"groups {', '.join(user['groups'])}"] if user.get("groups") else []
    told += ["a password"] if user.get("passwordHash") else []
    told += [f"{len(user['sshAuthorizedKeys'])} ssh keys"] if user.get("sshAuthorizedKeys") else []
    return f"user {user['name']} is {'changed' if exists else 'made'}{': ' if told else ''}{', '.join(told)}"


def _group(job: Job, group: Group) -> str:
    exists = find_group(job.root, group["name"]) is not None
    if group.get("shouldExist") is False:
        return f"group {group['name']} is {'deleted' if exists else 'not there, and stays so'}"
    number = f": gid {group['gid']}" if "gid" in group else ""
    return f"group {group['name']} is {'changed' if exists else 'made'}{number}"


def _node(work: Work) -> str:
    node: dict[str, Any] = {**work.node}
    told = []
    if status(work.path) is not None:
        told.append("replaces what is there" if node.get("overwrite") else "is there already")
    source = node.get("contents", {}).get("source")
    told += [f"contents from {shown(source)}"] if source else []
    told += [f"{len(node['append'])} parts appended"] if node.get("append") else []
    told += [f"to {node['target']}"] if "target" in node else []
    told += [f"mode {node['mode']:04o}"] if "mode" in node else []
    for kind in ("user", "group"):
        owner = node.get(kind, {}).get("id", node.get(kind, {}).get("name"))
        told += [f"{kind} {owner}"] if owner is not None else []
    what = "hard link" if node.get("hard") else work.what
    return f"{what} {node['path']}{': ' if told else ''}{', '.join(told)}"


def _units(systemd: Systemd) -> Iterable[str]:
    for unit in systemd.get("units", []):
        for dropin in unit.get("dropins", []):
            if "contents" in dropin:
                yield f"drop-in {dropin['name']} of {unit['name']} is written"
        if unit.get("contents"):
            yield f"unit {unit['name']} is written"
        if "mask" in unit:
            yield f"unit {unit['name']} is {'masked' if unit['mask'] else 'unmasked if it is masked'}"
    for line in preset_lines(systemd.get("units", [])):
        yield f"preset: {line}"


def obstacles(job: Job, config: Config, writer: Writer) -> list[str]:
    """What would make the stage fail, as far as it can be told from the root as it is now.

    What users' tools or an overwritten directory change before it is their turn, is left to be found then.
    """
    passwd = config.get("passwd", {})
    found: list[str] = []
    cleared: list[str] = []
    good = {os.fspath(job.root.path)}
    writable: dict[str, bool] = {}
    is_certain = not passwd.get("users") and not passwd.get("groups")
    for work in writer.ordered(config.get("storage", {})):
        present = status(work.path)
        if present is not None and work.node.get("overwrite"):
            cleared.append(work.path + "/")
        elif present is not None and is_certain and work.what != "link" and not work.path.startswith(tuple(cleared)):
            problem = work.conflict(work.path, present)
            found += [f"{work.key}: {problem}"] if problem else []
        found += [f"{work.key}.{kind}: {problem}" for kind, problem in _owners(job, work.node, passwd)]
        parent = _file_above(work.path, good)
        if parent and not parent.startswith(tuple(cleared)) and f"{parent}/" not in cleared:
            found.append(f"{work.key}.path: {parent} is not a directory")
        elif _is_written(work.node, present) and not _is_writable(work.path, present, writable):
            found.append(f"{work.key}.path: {work.node['path']} is on a file system that is mounted read-only")
    return found


def _is_written(node: Node, present: os.stat_result | None) -> bool:
    """True if there is anything to be changed at the place of ``node``."""
    changes: dict[str, Any] = {**node}
    return present is None or any(changes.get(name) for name in ("overwrite", "append", "mode", "user", "group"))


def _is_writable(path: str, present: os.stat_result | None, known: dict[str, bool]) -> bool:
    """True if the file system can be written that has ``path``, or will have it. Adds to ``known`` folders."""
    folder = path if present is not None and stat.S_ISDIR(present.st_mode) else os.path.dirname(path)
    if folder not in known:
        above = folder
        while not os.path.isdir(above):
            above = os.path.dirname(above)
        known[folder] = not os.statvfs(above).f_flag & os.ST_RDONLY
    return known[folder]


def _owners(job: Job, node: Node, passwd: Passwd) -> Iterable[tuple[str, str]]:
    """The owners that neither the root nor the config has."""
    user, group = node.get("user", {}).get("name"), node.get("group", {}).get("name")
    made = {entry["name"] for entry in passwd.get("users", [])}
    if user and user not in made and find_user(job.root, user) is None:
        yield "user", f"no such user {user}"
    made |= {entry["name"] for entry in passwd.get("groups", [])}
    if group and group not in made and find_group(job.root, group) is None:
        yield "group", f"no such group {group}"


def _file_above(path: str, good: set[str]) -> str:
    """The nearest thing above ``path`` if it is no directory, else the empty string. Adds to ``good`` folders."""
    seen = []
    folder = os.path.dirname(path)
    while folder not in good:
        seen.append(folder)
        if os.path.lexists(folder):
            if not os.path.isdir(folder) and not os.path.islink(folder):
                return folder
            break
        folder = os.path.dirname(folder)
    good.update(seen)
    return ""
