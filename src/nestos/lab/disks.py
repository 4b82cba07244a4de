"""Disk files of virtual machines: overlays, copies that keep their holes, empty disks.

An overlay is a qcow2 file that holds only what differs from its backing file. It is how a prepared disk is cloned in a
moment, and how an image stays unwritten. While an overlay is in use its backing file must not change.
"""

from __future__ import annotations

import struct
from pathlib import Path

from nestos.base.errors import InputError
from nestos.host.process import Runner
from nestos.host.toolbox import Toolbox
from nestos.lab.spec import DiskFormat

_QCOW2_MAGIC = b"QFI\xfb"
_DEEPEST_CHAIN = 32


CLUSTER_BYTES = 65536
"""QEMU's own default: what one table entry of a qcow2 file stands for."""


def create_overlay(
    path: Path, *, backing: Path, tools: Toolbox, size: str = "", cluster_bytes: int = CLUSTER_BYTES
) -> None:
    """Makes ``path`` a qcow2 overlay of ``backing``, which may be raw or qcow2; larger than it, if ``size`` says so.

    A kill loses unflushed data by the cluster (see ``nestos.lab.spec``), so 4096 makes the harshest power cut.
    """
    chain = backing_chain(backing)
    visible = tools.with_binds(*sorted({file.parent for file in chain} | {path.absolute().parent}))
    run_qemu_img(
        [
            "create",
            "-q",
            "-f",
            "qcow2",
            "-o",
            f"cluster_size={cluster_bytes}",
            "-F",
            str(DiskFormat.of(backing)),
            "-b",
            str(backing.absolute()),
        ],
        path=path,
        runner=visible,
        size=size,
    )


def create_empty(path: Path, *, size: str, tools: Toolbox) -> None:
    """Makes ``path`` an empty disk of ``size`` (QEMU's notation, ``10G``), qcow2 or raw by its suffix."""
    visible = tools.with_binds(path.absolute().parent)
    run_qemu_img(["create", "-q", "-f", str(DiskFormat.of(path))], path=path, runner=visible, size=size)


def run_qemu_img(command: list[str], *, path: Path, runner: Runner, size: str = "") -> None:
    """``qemu-img`` with a target, and a size behind it."""
    arguments = [str(path.absolute())] + ([size] if size else [])
    runner(["qemu-img", *command, *arguments], timeout_seconds=120)


def backing_chain(path: Path) -> list[Path]:
    """``path`` and every file it stands on, absolute, nearest first. Raises ``InputError`` on a loop."""
    chain: list[Path] = []
    following: Path | None = path.absolute()
    while following is not None:
        if len(chain) >= _DEEPEST_CHAIN:
            raise InputError(f"the backing files of {path} form a loop or too long a chain")
        chain.append(following)
        following = backing_file(following)
    return chain


def backing_file(path: Path) -> Path | None:
    """The file that the qcow2 file ``path`` stands on; none for another format or a file that stands alone.

    The header is read directly (docs/interop/qcow2.txt of QEMU: offset and length of the name at bytes 8 and 16).
    """
    with path.open("rb") as file:
        header = file.read(20)
        if header[:4] != _QCOW2_MAGIC or len(header) < 20:
            return None
        offset, length = struct.unpack(">QI", header[8:20])
        if offset == 0:
            return None
        file.seek(offset)
        return path.absolute().parent / file.read(length).decode()
