"""The format of a GRUB environment block: variables in exactly 1024 bytes.

Source: grub-core/lib/envblk.c. A header line, ``name=value`` lines in which a backslash protects a backslash or a
newline, lines that begin with ``#`` ignored, and ``#`` up to the end. GRUB rewrites it in place, by the file's
block list; so do we. What the variables mean is ``nestos.slots.bootstate``.
"""

from __future__ import annotations

from collections.abc import Mapping

from nestos.base.errors import StateError

BLOCK_BYTES = 1024
SECTOR_BYTES = 512
HEADER = b"# GRUB Environment Block\n"


def parse(block: bytes) -> dict[str, str]:
    """The variables of a block; of one set twice, the last, as GRUB's ``load_env`` leaves it.

    Lines without ``=`` are skipped. Raises ``StateError`` when the size or the header is wrong.
    """
    if len(block) != BLOCK_BYTES or not block.startswith(HEADER):
        raise StateError(
            "the GRUB environment block is damaged",
            kind="environment",
            hint="judging the running slot good (nestos boot mark-good) writes a new one",
        )
    variables: dict[str, str] = {}
    for line in _lines(block[len(HEADER) :].decode("utf-8", errors="replace")):
        name, equals, value = line.partition("=")
        if name and equals and not name.startswith("#"):
            variables.pop(name, None)
            variables[name] = value
    return variables


def render(ours: Mapping[str, str], *, others: Mapping[str, str] | None = None) -> bytes:
    """A block with ``ours`` inside the first sector and ``others`` behind it.

    A disk writes 512 bytes whole or not at all, so ``ours`` change as one. ``others`` begin at the second sector, never
    straddling, so that a torn write cannot splice two of their lines into a third. Raises ``StateError`` when either
    part is too long.
    """
    first = HEADER + _encode(ours)
    second = _encode(others or {})
    if second:
        # A comment line fills the first sector up: GRUB skips it, and its own edits keep it.
        first += b"#" * (SECTOR_BYTES - len(first) - 1) + b"\n"
    if len(first) > SECTOR_BYTES or len(second) > BLOCK_BYTES - SECTOR_BYTES:
        raise StateError("the variables do not fit in the GRUB environment block", kind="environment")
    return (first + second).ljust(BLOCK_BYTES, b"#")


def _encode(variables: Mapping[str, str]) -> bytes:
    escaped = {name: value.replace("\\", "\\\\").replace("\n", "\\\n") for name, value in variables.items()}
    return "".join(f"{name}={value}\n" for name, value in escaped.items()).encode()


def _lines(text: str) -> list[str]:
    """The lines of ``text`` with escapes resolved; an escaped newline does not end a line."""
    lines, current = [], ""
    characters = iter(text)
    for character in characters:
        if character == "\\":
            current += next(characters, "")
        elif character == "\n":
            lines.append(current)
            current = ""
        else:
            current += character
    return lines
