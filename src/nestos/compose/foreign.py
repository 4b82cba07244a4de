"""Composing for another architecture than this machine's.

apt, dpkg's unpacking and every image maker are this machine's own programs; only what a tree's packages run themselves
(maintainer scripts, dracut, the Python compiler) is emulated.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nestos.base.errors import InputError
from nestos.base.log import Progress
from nestos.compose import tools
from nestos.compose.tools import Kind
from nestos.host import binfmt
from nestos.host.bootloader import grub_images
from nestos.host.toolbox import Toolbox

_KINDS = {"aarch64": Kind.AARCH64}


def is_foreign(architecture: str) -> bool:
    """True if this machine does not run the architecture's programs itself."""
    return architecture != platform.machine()


def toolbox(architecture: str, *, home: Path, progress: Progress) -> Toolbox:
    """The tools tree that runs programs and machines of a foreign architecture, composed if ``home`` has none.

    Raises ``InputError`` for one that this machine cannot run.
    """
    kind = _KINDS.get(architecture)
    if kind is None or platform.machine() != "x86_64":
        raise InputError(
            f"a host of the type {platform.machine()} does not compose for {architecture}",
            hint="compose on a host of that type; x86_64 composes for aarch64 too",
        )
    return tools.ensure(home, progress=progress, kind=kind)


@contextmanager
def programs(architecture: str, *, home: Path, progress: Progress) -> Iterator[None]:
    """Within it, programs of ``architecture`` run, on this machine or by an emulator."""
    if not is_foreign(architecture):
        yield
        return
    box = toolbox(architecture, home=home, progress=progress)
    with binfmt.emulated(architecture, emulator=box.root / tools.EMULATOR):
        yield


def grub_modules(architecture: str, *, home: Path, progress: Progress) -> Path | None:
    """Folder of GRUB's modules for a foreign architecture; none where the tools have those of their own."""
    if not is_foreign(architecture):
        return None
    return toolbox(architecture, home=home, progress=progress).root / grub_images.modules_folder(architecture)
