"""Block devices: waiting for them, their real names, what they are in use for, and udev's knowledge of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nestos.ignition.engine.disks.survey import StorageError, execute
from nestos.ignition.engine.job import Job

SECTOR_BYTES = 512  # sysfs and libblkid count in these, whatever the disk's own are
_WAIT_SECONDS = 90  # as systemd waits for a device that a unit needs
_POLL_SECONDS = 0.1
_ALIAS_FOLDER_MODE = 0o750
_GPT_SIGNATURE = b"EFI PART"
_GPT_COPY_AT = 32  # where the header says in which sector its copy is: UEFI 2.10, 5.3.2
_ALIASES = "run/ignition/dev_aliases"
_UDEV_SOCKET = "run/udev/control"


@dataclass(frozen=True, kw_only=True)
class KernelPartition:
    """A partition as the kernel knows it; ``start`` and ``size`` in units of 512 bytes."""

    path: Path
    number: int
    start: int
    size: int


def real(device: str | Path) -> Path | None:
    """The device that ``device`` leads to, or none while it is not there."""
    try:
        return Path(os.path.realpath(device, strict=True))
    except OSError:
        return None


def wait(job: Job, devices: Sequence[str], *, keys: Sequence[str]) -> None:
    """Waits until every device is there and udev is done with it. Raises ``StorageError``.

    ``keys``: where the config names them, for the error.
    """
    listed = " ".join(devices)
    with job.log.operation(f"waiting for {listed}"):
        deadline = job.machine.clock.monotonic() + _WAIT_SECONDS
        if _has_udev(job):
            command = ["udevadm", "wait", f"--timeout={_WAIT_SECONDS}", "--settle", *devices]
            execute(job, command, accepted=(0, 1))
        while (missing := absent(devices)) and job.machine.clock.monotonic() < deadline:
            job.machine.clock.sleep(_POLL_SECONDS)
        if missing:
            named = ", ".join(f"{key} ({name})" for key, name in zip(keys, devices, strict=True) if name in missing)
            raise StorageError(
                f"{named}: there is no such device, after {_WAIT_SECONDS} s",
                hint="check the path, and that the disk is attached; names below /dev/disk do not depend on the order",
            )


def absent(devices: Iterable[str]) -> list[str]:
    """Those of ``devices`` that are not there."""
    return [device for device in devices if real(device) is None]


def make_aliases(job: Job, devices: Iterable[str]) -> None:
    """Makes links that lead to the devices as they are now, whatever becomes of links below /dev/disk."""
    for device in devices:
        target = real(device)
        if target is not None:
            alias = job.machine.top / _ALIASES / device.lstrip("/")
            alias.parent.mkdir(mode=_ALIAS_FOLDER_MODE, parents=True, exist_ok=True)
            alias.unlink(missing_ok=True)
            alias.symlink_to(target)


def resolved(device: str) -> Path:
    """The device that ``device`` leads to, which must be there. Raises ``StorageError``."""
    found = real(device)
    if found is None:
        raise StorageError(f"{device} was there and is gone")
    return found


def settle(job: Job, device: Path) -> None:
    """Returns when udev has seen everything that was done to ``device``, which must not vanish by it."""
    # Our own event, because "udevadm settle" knows nothing of what the kernel has not told udev yet.
    if _has_udev(job):
        execute(job, ["udevadm", "trigger", "--settle", device])


def _has_udev(job: Job) -> bool:
    return (job.machine.top / _UDEV_SOCKET).exists()


def facts(job: Job, device: Path) -> Path:
    """The folder of sysfs about ``device``."""
    try:
        name = device.relative_to(job.machine.top / "dev").as_posix().replace("/", "!")
    except ValueError:
        name = device.name
    return job.machine.top / "sys/class/block" / name


def _number(path: Path) -> int:
    return int(path.read_text().strip())


def kernel_partitions(job: Job, disk: Path) -> list[KernelPartition]:
    """The partitions of ``disk`` that the kernel knows."""
    folder = facts(job, disk)
    try:
        entries = [entry for entry in sorted(folder.iterdir()) if (entry / "partition").exists()]
    except OSError:
        return []
    return [
        KernelPartition(
            path=disk.parent / entry.name.rpartition("!")[2],
            number=_number(entry / "partition"),
            start=_number(entry / "start"),
            size=_number(entry / "size"),
        )
        for entry in entries
    ]


def is_mapped(job: Job, device: Path) -> bool:
    """True for a device of device-mapper, whose partitions are not the kernel's."""
    return (facts(job, device) / "dm").exists()


def sector_bytes(job: Job, disk: Path) -> int:
    """The size of the logical sectors of ``disk``, in which its partition table counts."""
    folder = facts(job, disk)
    for path in (folder / "queue", folder.resolve().parent / "queue"):  # a partition's is its disk's
        try:
            return _number(path / "logical_block_size")
        except OSError:
            continue
    raise StorageError(f"{disk}: the kernel does not say how large its sectors are; is it a block device?")


def has_grown(job: Job, disk: Path, *, sector_bytes: int) -> bool:
    """True if ``disk`` goes on behind the end of its GPT, as that of an image on a larger disk does."""
    try:
        sectors = _number(facts(job, disk) / "size") * SECTOR_BYTES // sector_bytes
        with disk.open("rb", buffering=0) as file:
            file.seek(sector_bytes)
            header = file.read(_GPT_COPY_AT + 8)
    except OSError:
        return False
    copy = int.from_bytes(header[_GPT_COPY_AT:], "little")
    return header.startswith(_GPT_SIGNATURE) and copy < sectors - 1


def use_of(job: Job, device: Path) -> str:
    """What ``device`` is in use for, as the end of a sentence, or the empty string."""
    places = [place for source, place in _mounts(job) if _is(source, device)]
    if places:
        return f"mounted at {places[0]}"
    if any(_is(source, device) for source in _swaps(job)):
        return "in use as swap space"
    if is_mapped(job, device):
        return ""
    try:
        holders = sorted(path.name for path in (facts(job, device) / "holders").iterdir())
    except OSError:
        holders = []
    return f"held by {', '.join(holders)}" if holders else ""


def _is(source: str, device: Path) -> bool:
    return source.startswith("/") and real(source) == device


def _mounts(job: Job) -> list[tuple[str, str]]:
    lines = _lines(job.machine.top / "proc/self/mounts")
    return [(_unescaped(words[0]), _unescaped(words[1])) for words in lines if len(words) > 1]


def _swaps(job: Job) -> list[str]:
    return [_unescaped(words[0]) for words in _lines(job.machine.top / "proc/swaps") if words]


def _lines(path: Path) -> list[list[str]]:
    try:
        return [line.split() for line in path.read_text(errors="surrogateescape").splitlines()]
    except FileNotFoundError:
        return []


def _unescaped(word: str) -> str:
    # Blanks in names are written in octal: proc_pid_mounts(5).
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), word)
