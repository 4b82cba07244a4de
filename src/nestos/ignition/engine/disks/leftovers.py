"""What a first boot that was cut off made on disks: noted before it is made, erased before the next try.

Only what held nothing, or what the config gave to be erased, is ever noted. So on the next try whatever such a device
holds is from the unfinished run, half made or whole, and the keys to it are lost: it is as empty as it was. A device
is told by its disk and the place on it, not by a name: another disk at the same name is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nestos.ignition.engine import unfinished
from nestos.ignition.engine.disks import devices
from nestos.ignition.engine.disks.survey import execute
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.unfinished import Note

_WAIT_SECONDS = 30
_SERIALS = ("serial", "wwid", "device/serial", "device/wwid")


def note(job: Job, names: Iterable[str]) -> None:
    """Notes that all contents of the devices of these names are about to be made."""
    found: list[Note] = []
    for name in names:
        found.append({"device": identity(devices.facts(job, devices.resolved(name))), "name": name})
    unfinished.add(job, found)


def identity(facts: Path) -> str:
    """What tells a device, by its folder of sysfs, from every other and stays the same over restarts.

    The serial number of the disk, else where it is attached, with start and size in sectors; what lies on others is
    told by these.
    """
    facts = facts.resolve()
    below = sorted(identity(path) for path in _entries(facts / "slaves"))
    if below:
        return f"{facts.name.rstrip('0123456789-')}({','.join(below)})"
    is_partition = (facts / "partition").exists()
    disk = facts.parent if is_partition else facts
    serial = next((text for name in _SERIALS if (text := _read(disk / name))), str(disk))
    return f"{serial}+{_read(facts / 'start') or '0'}+{_read(facts / 'size')}"


class Leftovers:
    """What unfinished runs made and nobody erased yet."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._pending = {note["device"]: note["name"] for note in unfinished.notes(job) if "device" in note}

    def wait(self) -> None:
        """Gives the devices that were noted time to appear: disks are slow."""
        names = [name for name in self._pending.values() if "/mapper/" not in name and "/md" not in name]
        if names:
            command = ["udevadm", "wait", f"--timeout={_WAIT_SECONDS}", "--settle", *dict.fromkeys(names)]
            execute(self._job, command, accepted=(0, 1))

    def erase(self) -> None:
        """Erases those that are there; arrays on them, which udev assembles from what it finds, are stopped first."""
        if not self._pending:
            return
        for facts in _entries(self._job.machine.at("sys/class/block")):
            found = identity(facts)
            if found not in self._pending:
                continue
            for holder in _entries(facts / "holders"):
                if holder.name.startswith("md"):
                    execute(self._job, ["mdadm", "--stop", self._device(holder)])
            self._job.log.info(f"erasing {self._pending[found]}, which an unfinished first boot made")
            execute(self._job, ["wipefs", "--all", self._device(facts)])
            devices.settle(self._job, self._device(facts))
            del self._pending[found]

    def _device(self, facts: Path) -> Path:
        return self._job.machine.at("dev") / facts.name.replace("!", "/")


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
