"""GRUB's menu on a live medium, with an area in it that takes other kernel arguments without moving anything.

The area holds the arguments, a line end, and ``#`` up to its size: a comment to GRUB. Whoever changes the arguments
writes the whole area, so the file, and with it the medium, keeps its layout.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nestos.base.errors import InputError

KARGS_BYTES = 2048
"""Of the area: the kernel itself takes 2048 on most architectures (COMMAND_LINE_SIZE)."""
PAD, END = "#", "\n"
_PLAIN = re.compile(r"[A-Za-z0-9_./:=,@%+!?^~*\[\]()-]+")

_TEXT = """\
# The menu of the NestOS live medium.
set timeout=5
set default=live
if [ "$grub_platform" = pc ]; then
  if serial --unit=0 --speed=115200; then
    terminal_input --append serial
    terminal_output --append serial
  fi
fi
function start {{
  linux {kernel} $1 {area}
  initrd {initrds}
}}
menuentry "NestOS, live" --id live {{
  start
}}
menuentry "NestOS, live, copied to memory (the medium can be taken out)" --id ram {{
  start nestos.liveiso.fromram
}}
"""


@dataclass(frozen=True, kw_only=True)
class Menu:
    """A menu file, and where in it the area of kernel arguments begins."""

    text: bytes
    area_at: int


def menu(*, kernel: str, initrds: Sequence[str], kargs: Sequence[str]) -> Menu:
    """The ``grub.cfg`` of a live medium."""
    area = karg_area(kargs)
    text = _TEXT.format(kernel=kernel, area=area, initrds=" ".join(initrds)).encode()
    return Menu(text=text, area_at=text.index(area.encode()))


def karg_area(kargs: Sequence[str], *, size_bytes: int = KARGS_BYTES) -> str:
    """The area with ``kargs``. Raises ``InputError`` for one that GRUB would not read as it is, and for too many."""
    for karg in kargs:
        if not _PLAIN.fullmatch(karg):
            raise InputError(
                f"{karg!r} cannot be a kernel argument of a live medium: letters, digits and -_./:=,@%+!?^~*[]() only"
            )
    line = " ".join(kargs) + END
    if len(line) > size_bytes:
        raise InputError(f"the kernel arguments have {len(line)} bytes, a live medium has room for {size_bytes}")
    return line.ljust(size_bytes, PAD)
