"""Account files of three origins become one: the old release's, the node's own, and the new release's.

Pure: texts in, texts out. Once an operator adds a user, the node's ``/etc/passwd`` hides the release's, and system
users that later releases add never arrive: the classic trap of image-based systems. So each update joins them, by
name: what only the release changed follows the release, what the node changed stays, group members are joined.
Formats: passwd(5), group(5), shadow(5), gshadow(5). Identity comes from names; numbers are never changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

USER_FILES = ("passwd", "shadow")
GROUP_FILES = ("group", "gshadow")
FILES = (*USER_FILES, *GROUP_FILES)

_FIELDS = {"passwd": 7, "shadow": 9, "group": 4, "gshadow": 4}
_MEMBER_FIELDS: Mapping[str, tuple[int, ...]] = {"group": (3,), "gshadow": (2, 3)}
_NUMBERED = ("passwd", "group")  # files whose third field is the id

Entry = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Merged:
    """The joined files (only those that the node has of its own) and sentences about what an operator should know."""

    texts: Mapping[str, str]
    notes: tuple[str, ...]


def merge(*, old: Mapping[str, str], edited: Mapping[str, str], new: Mapping[str, str]) -> Merged:
    """Joins the account files, keyed by file name: those that are in ``edited``; elsewhere a missing one is empty.

    A user or group that the release removed goes, unless the node changed a line of it in any file. One that the node
    removed stays removed. Of a field that both changed, the node's value stays.
    """
    notes: list[str] = []
    texts = {name: _merge_file(name, old=old, edited=edited, new=new, notes=notes) for name in FILES if name in edited}
    return Merged(texts=texts, notes=tuple(notes))


def _merge_file(
    name: str,
    *,
    old: Mapping[str, str],
    edited: Mapping[str, str],
    new: Mapping[str, str],
    notes: list[str],
) -> str:
    before, after = _entries(old.get(name, "")), _entries(new.get(name, ""))
    kept_names = {entry[0] for entry in _parse(edited[name]) if _is_account(entry)}
    touched = _touched(name, old=old, edited=edited)
    lines: list[Entry] = []
    for entry in _parse(edited[name]):
        key = entry[0]
        if not _is_account(entry):
            lines.append(entry)
        elif key in after:
            lines.append(_merge_entry(name, before.get(key), entry, after[key], notes))
        elif key not in before or key in touched:
            lines.append(entry)
            if key in before:
                notes.append(f"{name}: the release removed {key}; it stays because it was changed on this node")
    added = [entry for key, entry in after.items() if key not in before and key not in kept_names]
    if name in _NUMBERED:
        notes.extend(_collisions(name, lines, added))
    return "".join(":".join(entry) + "\n" for entry in [*lines, *added])


def _merge_entry(name: str, before: Entry | None, edited: Entry, after: Entry, notes: list[str]) -> Entry:
    if before is None:
        before = ("",) * len(after)
    if not len(before) == len(edited) == len(after) == _FIELDS[name]:
        return edited if edited != before else after
    fields: list[str] = []
    for position, (was, own, release) in enumerate(zip(before, edited, after, strict=True)):
        if position in _MEMBER_FIELDS.get(name, ()):
            fields.append(_merge_members(was, own, release))
        elif own == was:
            fields.append(release)
        else:
            fields.append(own)
            if release not in {was, own}:
                notes.append(
                    f"{name}: field {position + 1} of {edited[0]} was changed here and by the release; ours stays"
                )
    return tuple(fields)


def _merge_members(was: str, own: str, release: str) -> str:
    before, edited, after = (_members(text) for text in (was, own, release))
    joined = [member for member in edited if member in after or member not in before]
    joined += [member for member in after if member not in before and member not in joined]
    return ",".join(joined)


def _members(text: str) -> list[str]:
    return [member for member in text.split(",") if member]


def _touched(name: str, *, old: Mapping[str, str], edited: Mapping[str, str]) -> set[str]:
    """The accounts of which the node changed a line, in ``name`` or in the file that goes with it."""
    found: set[str] = set()
    for file in USER_FILES if name in USER_FILES else GROUP_FILES:
        if file in edited:
            before, now = _entries(old.get(file, "")), _entries(edited[file])
            found |= {key for key in now if now[key] != before.get(key)}
    return found


def _collisions(name: str, lines: list[Entry], added: list[Entry]) -> Iterator[str]:
    owners = {entry[2]: entry[0] for entry in lines if _is_account(entry) and len(entry) > 2}
    for entry in added:
        if len(entry) > 2 and entry[2] in owners:
            owner = owners[entry[2]]
            yield f"{name}: the release added {entry[0]} with the id {entry[2]}, which {owner} has on this node"


def _entries(text: str) -> dict[str, Entry]:
    return {entry[0]: entry for entry in _parse(text) if _is_account(entry)}


def _parse(text: str) -> list[Entry]:
    return [tuple(line.split(":")) for line in text.splitlines()]


def _is_account(entry: Entry) -> bool:
    """False for comments, blank lines and the ``+``/``-`` lines of compat mode, which are kept as they are."""
    return len(entry) > 1 and bool(entry[0]) and entry[0][0] not in "#+-"
