"""GRUB's environment block: the little file in which GRUB and the running system leave each other word.

Pure: bytes to variables and back. Who may write it, and when, is the business of ``nestos.slots``. Format: GRUB
manual, "Environment block"; grub-core/lib/envblk.c. The file has exactly 1024 bytes and is overwritten in place,
because GRUB finds it by its blocks and does not replay the journal of ext4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from nestos.base.errors import InputError

BLOCK_BYTES = 1024
ATOMIC_BYTES = 512  # what a disk writes whole or not at all, at the least
_SIGNATURE = b"# GRUB Environment Block\n"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def encode(variables: Mapping[str, str]) -> bytes:
    """The block that holds ``variables``, in their order.

    Raises ``InputError`` for a bad name, for a value of more than one line, and when the variables do not fit in
    the first sector: only then is writing them one atomic step.
    """
    block = _SIGNATURE
    for name, value in variables.items():
        if not _NAME.fullmatch(name):
            raise InputError(f"GRUB cannot hold a variable named {name!r}")
        if "\n" in value or "\0" in value:
            raise InputError(f"the GRUB variable {name} has more than one line")
        escaped = value.replace("\\", "\\\\")
        block += f"{name}={escaped}\n".encode()
    if len(block) > ATOMIC_BYTES:
        raise InputError(f"the GRUB variables take {len(block)} bytes, {ATOMIC_BYTES} are written in one step")
    return block.ljust(BLOCK_BYTES, b"#")


def decode(block: bytes) -> dict[str, str]:
    """The variables of ``block``, in their order; a later line for a name wins, as in GRUB.

    Raises ``InputError`` when it is no environment block. A line without a ``=`` is skipped.
    """
    if not block.startswith(_SIGNATURE) or len(block) != BLOCK_BYTES:
        raise InputError("this is not a GRUB environment block of 1024 bytes")
    variables = {}
    for line in block[len(_SIGNATURE) :].decode(errors="replace").split("\n"):
        name, equals, value = line.partition("=")
        if equals and not name.startswith("#"):
            variables[name] = re.sub(r"\\(.)", r"\1", value)
    return variables
