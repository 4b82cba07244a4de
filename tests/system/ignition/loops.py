"""Disks made of files, and what is on them, for tests that run the engine on real block devices.

They need root and loop devices. Kernels that do not read GPT themselves will do: partitions are told to them.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nestos.base.errors import NestosError
from nestos.host.process import run

_PROGRAMS = ("losetup", "sgdisk", "partx", "blkid", "wipefs", "mount", "umount", "mkfs.ext4", "mkswap")
_MIB = 1024 * 1024


def missing() -> str:
    """Why such disks cannot be made here, or the empty string."""
    if os.geteuid() != 0:
        return "only root may make loop devices"
    absent = [name for name in _PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"programs are missing: {', '.join(absent)}"
    try:
        run(["losetup", "--find"])
    except NestosError as error:
        return f"there are no loop devices: {error}"
    return ""


@contextmanager
def loop(image: Path, *, mib: int, sector_bytes: int = 512) -> Iterator[Path]:
    """A disk of ``mib`` MiB."""
    with image.open("wb") as file:
        file.truncate(mib * _MIB)
    options = ["--find", "--show", "--partscan", f"--sector-size={sector_bytes}"]
    device = Path(run(["losetup", *options, image]).stdout.strip())
    with ExitStack() as stack:
        stack.callback(run, ["losetup", "--detach", device])
        stack.callback(forget_partitions, device)
        yield device


def grow(device: Path, image: Path, *, mib: int) -> None:
    """Makes the disk larger."""
    with image.open("r+b") as file:
        file.truncate(mib * _MIB)
    run(["losetup", "--set-capacity", device])


def partition(device: Path, options: Sequence[str]) -> None:
    """Writes a table with sgdisk's ``options`` and makes the kernel know it."""
    run(["sgdisk", *options, device])
    forget_partitions(device)
    for number in table(device):
        run(["partx", "--add", f"--nr={number}", device])


def forget_partitions(device: Path) -> None:
    """Makes the kernel know no partition of ``device``."""
    for entry in Path("/sys/class/block", device.name).glob(f"{device.name}*/partition"):
        run(["partx", "--delete", f"--nr={entry.read_text().strip()}", device])


def table(device: Path) -> dict[str, str]:
    """Number to "start size label" of every partition."""
    done = run(["partx", "--pairs", "--output=NR,START,SECTORS,NAME", device], accepted=(0, 1))
    found = {}
    for line in done.stdout.splitlines():
        fields = dict(re.findall(r'(\w+)="([^"]*)"', line))
        found[fields["NR"]] = f"{fields['START']} {fields['SECTORS']} {fields['NAME']}".strip()
    return found


def content(device: Path) -> str:
    """The kind and label of what is on ``device``."""
    done = run(["blkid", "--probe", "--output=udev", device], accepted=(0, 2, 8))
    facts = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    return f"{facts.get('ID_FS_TYPE', '')} {facts.get('ID_FS_LABEL', '')}".strip()


def described(device: Path) -> dict[str, str]:
    """Number to "start size label | kind label of the content"; the whole disk's content is under "disk"."""
    listed = {"disk": content(device)} if content(device) else {}
    for number, entry in table(device).items():
        held = content(device.with_name(f"{device.name}p{number}"))
        listed[number] = f"{entry} | {held}" if held else entry
    return listed
