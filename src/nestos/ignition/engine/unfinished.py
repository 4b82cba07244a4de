"""What a first boot is about to do to disks and to ``/var``, noted first, because a cut one starts from the beginning.

The notes are lines in the stamp that makes a boot the first, ``ignition.firstboot`` on the boot partition. So they
hold just as long as the first boot is unfinished: the stamp and they go in one step, and a stamp that an operator
makes later, to have a node provisioned again, has none. GRUB reads the stamp as a script, and takes them for comments.
They are only ever appended: a cut leaves a line whole or torn, and what a torn one announces was not begun.

Without the words ``ignition.firstboot`` and ``nestos.boot`` on the kernel command line nothing is noted: then this is
no first boot of such an image.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

from nestos.ignition.engine.job import Job

STAMP = "ignition.firstboot"
_BOOT_WORD = "nestos.boot="
_PLACE = "run/ignition/boot"
_MARK = "# unfinished: "
_DEVICE_SECONDS = 60


class Note(TypedDict, total=False):
    """A ``device`` whose contents are made, by what identifies it, with its ``name`` in the config; or a ``path``.

    ``path``: in the root. ``filesystem``: the number of the one it is on (``f_fsid`` of statvfs(3)). ``size``: of the
    file that was there, in bytes; without it nothing was there.
    """

    device: str
    name: str
    path: str
    filesystem: int
    size: int


def notes(job: Job) -> list[Note]:
    """What unfinished runs noted. Raises ``CommandError`` where there is no boot partition to be mounted."""
    found: list[Note] = []
    with _boot(job, "ro") as folder:
        if folder is not None and (folder / STAMP).exists():
            for line in (folder / STAMP).read_text(errors="replace").splitlines():
                found += _note(line)
    return found


def add(job: Job, more: Sequence[Note]) -> None:
    """Notes ``more``, durably. Raises ``CommandError`` and ``OSError``."""
    if not more:
        return
    with _boot(job, "rw") as folder:
        if folder is None:
            return
        # The first line end ends a line that was torn.
        text = "\n" + "".join(f"{_MARK}{json.dumps(note)}\n" for note in more)
        with (folder / STAMP).open("a") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())


def _note(line: str) -> list[Note]:
    try:
        return [json.loads(line.removeprefix(_MARK))] if line.startswith(_MARK) else []
    except ValueError:
        return []


@contextmanager
def _boot(job: Job, access: str) -> Iterator[Path | None]:
    """The boot partition, mounted while the block lasts; none if this is no first boot from one."""
    machine = job.machine
    words = machine.command_line.read_text(errors="replace").split()
    ids = [word.removeprefix(_BOOT_WORD) for word in words if word.startswith(_BOOT_WORD)]
    if not ids or STAMP not in words:
        yield None
        return
    device, place = machine.at(f"dev/disk/by-partuuid/{ids[-1]}"), machine.at(_PLACE)
    if not device.exists():
        machine.runner(["udevadm", "wait", f"--timeout={_DEVICE_SECONDS}", device])
    place.mkdir(parents=True, exist_ok=True)
    machine.runner(["mount", "--types=ext4", f"--options={access},nosuid,nodev,noexec", device, place])
    try:
        yield place
    finally:
        # Unmounted, not only synced: GRUB does not replay a journal.
        machine.runner(["umount", place])
