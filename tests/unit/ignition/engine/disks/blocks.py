"""A machine with block devices that are plain files and a sysfs of plain files; its programs only answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nestos.base.paths import Root
from nestos.ignition.engine.disks.survey import PACKAGES
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.stages import disks
from tests.unit.host.scripted import Scripted
from tests.unit.ignition.engine.bench import Bench

LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
GUID = "00000000-0000-4000-8000-00000000000"
NO_TABLE = "partx: /dev/sda: failed to read partition table"


def pairs(*entries: Mapping[str, object], sector_bytes: int = 512) -> str:
    """What partx prints of partitions given as number, start and size in sectors, and label."""
    scale = sector_bytes // 512
    lines = []
    for entry in entries:
        fields = {
            "NR": entry["number"],
            "START": int(str(entry["start"])) * scale,
            "SECTORS": int(str(entry["size"])) * scale,
            "NAME": entry.get("label", ""),
            "UUID": str(entry.get("guid", f"{GUID}{entry['number']}")).lower(),
            "TYPE": str(entry.get("type", LINUX)).lower(),
            "FLAGS": entry.get("flags", "0x0"),
            "SCHEME": entry.get("scheme", "gpt"),
        }
        lines.append(" ".join(f'{name}="{value}"' for name, value in fields.items()))
    return "".join(f"{line}\n" for line in lines)


def extent(first: int, last: int) -> str:
    """What sgdisk prints of a partition, in part."""
    return f"Partition GUID code: x\nFirst sector: {first} (at 1 MiB)\nLast sector: {last} (at 2 MiB)\n"


@dataclass(kw_only=True)
class Blocks:
    """The machine and what its programs were asked."""

    bench: Bench
    runner: Scripted = field(default_factory=Scripted)

    @property
    def top(self) -> Path:
        return self.bench.folder / "top"

    def device(self, name: str) -> str:
        """The path of a device, as a config names it."""
        return str(self.top / "dev" / name)

    def disk(self, name: str, *, sector_bytes: int = 512) -> str:
        """Makes a disk."""
        path = self.top / "dev" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        facts = self.top / "sys/class/block" / name
        (facts / "queue").mkdir(parents=True)
        (facts / "queue/logical_block_size").write_text(f"{sector_bytes}\n")
        (facts / "holders").mkdir()
        return str(path)

    def partition(self, disk: str, number: int, *, start: int, size: int) -> str:
        """Makes the kernel know a partition, in units of 512 bytes."""
        name = f"{disk}{number}"
        (self.top / "dev" / name).touch()
        facts = self.top / "sys/class/block" / disk / name
        facts.mkdir()
        for file, value in (("partition", number), ("start", start), ("size", size)):
            (facts / file).write_text(f"{value}\n")
        (facts / "holders").mkdir()
        (self.top / "sys/class/block" / name).symlink_to(f"{disk}/{name}")
        return self.device(name)

    def forget(self, name: str) -> None:
        """Makes the kernel forget a partition."""
        link = self.top / "sys/class/block" / name
        for file in ("partition", "start", "size"):
            (link / file).unlink()
        (link.resolve() / "holders").rmdir()
        link.resolve().rmdir()
        link.unlink()

    def start_udev(self) -> None:
        """Makes udev run."""
        (self.top / "run/udev").mkdir(parents=True)
        (self.top / "run/udev/control").touch()

    def mount(self, device: str, place: str) -> None:
        """Makes ``device`` a mounted one."""
        mounts = self.top / "proc/self/mounts"
        mounts.parent.mkdir(parents=True, exist_ok=True)
        with mounts.open("a") as file:
            file.write(f"{device} {place} ext4 rw 0 0\n")

    def hold(self, name: str, holder: str) -> None:
        """Makes ``holder`` hold the device ``name``."""
        (self.top / "sys/class/block" / name / "holders" / holder).touch()

    def job(self, config: Mapping[str, Any], *, programs: Sequence[str] = tuple(PACKAGES)) -> Job:
        """A job with ``config``, on a machine that has ``programs``."""
        folder = self.bench.folder / "bin"
        folder.mkdir(exist_ok=True)
        for name in programs:
            (folder / name).touch(mode=0o755)
        self.bench.cache.parent.mkdir(exist_ok=True)
        self.bench.cache.write_text(json.dumps({"ignition": {"version": "3.6.0"}, **config}))
        self.bench.environment["PATH"] = str(folder)
        job = self.bench.job()
        return replace(job, machine=replace(self.bench.machine, runner=self.runner), root=Root(self.bench.root))

    def run(self, storage: Mapping[str, Any], **more: Any) -> None:
        """Runs the disks stage."""
        disks.run(self.job({"storage": storage}, **more))

    def plan(self, storage: Mapping[str, Any]) -> list[str]:
        """What the disks stage would do, without the folder's name."""
        return [line.replace(f"{self.top}", "") for line in disks.plan(self.job({"storage": storage}))]

    @property
    def lines(self) -> list[str]:
        """The commands that were run, without the folder's name."""
        return [" ".join(line).replace(str(self.top), "") for line in self.runner.lines]

    @property
    def written(self) -> list[str]:
        """Those that change something."""
        reading = ("partx --pairs", "sgdisk --pretend", "blkid", "cryptsetup isLuks", "cryptsetup luksDump")
        return [line for line in self.lines if not line.startswith(reading) and "--test-passphrase" not in line]
