"""Edits of kernel arguments, in the words of ``rpm-ostree kargs``. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nestos.base.errors import InputError
from nestos.slots.kargs import words

# What grub.cfg adds by itself; it is of no slot.
_OF_THE_LOADER = ("BOOT_IMAGE", "root", "ro", "rw", "initrd")
_PREFIXES = ("nestos.", "systemd.verity", "ignition.firstboot")


@dataclass(frozen=True, kw_only=True)
class Edit:
    """``kind``: append, append-if-missing, delete, delete-if-present or replace. ``text``: an argument."""

    kind: str
    text: str


def edited(kargs: Sequence[str], edits: Iterable[Edit]) -> tuple[str, ...]:
    """The arguments after all edits, in their order. Raises ``InputError`` for one that cannot apply."""
    found = list(kargs)
    for edit in edits:
        _APPLY[edit.kind](found, edit.text)
    return tuple(found)


def of_command_line(text: str) -> tuple[str, ...]:
    """The arguments of a running kernel (``/proc/cmdline``) without what the boot loader added."""
    return tuple(
        word for word in words(text) if word.partition("=")[0] not in _OF_THE_LOADER and not word.startswith(_PREFIXES)
    )


def _append(kargs: list[str], text: str) -> None:
    kargs.append(text)


def _append_if_missing(kargs: list[str], text: str) -> None:
    if text not in kargs:
        kargs.append(text)


def _delete(kargs: list[str], text: str) -> None:
    """``KEY=VALUE`` removes this one; ``KEY`` the one with this key, whatever its value."""
    matching = [item for item in kargs if item == text] or [item for item in kargs if item.partition("=")[0] == text]
    if not matching:
        raise InputError(f'there is no kernel argument "{text}"', hint=f"there are: {' '.join(kargs)}")
    if len(set(matching)) > 1:
        raise InputError(f'"{text}" stands for several: {" ".join(matching)}', hint="say which, with its value")
    kargs.remove(matching[-1])


def _delete_if_present(kargs: list[str], text: str) -> None:
    if any(text in (item, item.partition("=")[0]) for item in kargs):
        _delete(kargs, text)


def _replace(kargs: list[str], text: str) -> None:
    key, _, rest = text.partition("=")
    old, has_old, new = rest.partition("=")
    matching = [place for place, item in enumerate(kargs) if item.partition("=")[0] == key]
    if has_old:
        matching = [place for place in matching if kargs[place] == f"{key}={old}"]
    if not matching:
        raise InputError(f'there is no kernel argument "{key}" to replace', hint=f"there are: {' '.join(kargs)}")
    if len(matching) > 1:
        raise InputError(f'"{key}" stands more than once', hint=f"say which: {key}=OLD=NEW")
    value = new if has_old else old
    kargs[matching[0]] = f"{key}={value}" if value else key


_APPLY = {
    "append": _append,
    "append-if-missing": _append_if_missing,
    "delete": _delete,
    "delete-if-present": _delete_if_present,
    "replace": _replace,
}
