"""From power-on to a system that is up: ours, and Debian with cloud-init, in the same virtual machine.

The end is a line on the serial console, written by a unit that both have: ours behind ``boot-complete.target`` (the
health checks have passed), Debian's behind ``multi-user.target`` and ``cloud-init.target``. Both boot through GRUB and
a BIOS, with the same kernel, cores, memory and accelerator; on their first boot they create the same user with the same
key and grow into their disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import cloud_image
from benchmarks.bench import Bench, Benchmark
from benchmarks.measure import Result
from nestos.compose import images
from nestos.host.toolbox import Toolbox
from nestos.lab import accelerator, disks, provision
from nestos.lab.machine import Machine
from nestos.lab.spec import Accelerator, Cache, Disk, DiskFormat, MachineSpec
from nestos.lab.ssh import Identity, identity

_LIMIT_SECONDS = 900.0
_CORES, _MEMORY_MIB = 2, 2048
_DISK_SIZE = "8G"
_NESTOS, _DEBIAN = "nestos", "Debian with cloud-init"
_STOPPED = "Entering emergency mode|Kernel panic"
_BOOTS = ("first boot", "second boot")
_UNIT = f"""\
[Unit]
Description=Tell the benchmark that this system is up
DefaultDependencies=no
Requires=boot-complete.target
After=boot-complete.target

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo {cloud_image.MARK} >/dev/ttyS0'

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True, kw_only=True)
class _Lab:
    """What both contenders share."""

    bench: Bench
    tools: Toolbox
    accelerator: Accelerator
    identity: Identity

    def machine(self, spec: MachineSpec, *, backing: Path) -> Machine:
        """A machine with a new disk that starts as ``backing``."""
        folder = self.bench.folder / spec.name
        folder.mkdir(exist_ok=True)
        disk = folder / "disk.qcow2"
        disk.unlink(missing_ok=True)
        disks.create_overlay(disk, backing=backing, tools=self.tools)
        self.tools(["qemu-img", "resize", "-q", disk, _DISK_SIZE])
        (folder / "serial.log").unlink(missing_ok=True)
        full = MachineSpec(
            name=spec.name,
            image=disk,
            cores=_CORES,
            memory_mib=_MEMORY_MIB,
            cache=Cache.WRITEBACK,
            disks=spec.disks,
            fw_cfg=spec.fw_cfg,
        )
        return Machine(full, tools=self.tools, folder=folder, accelerator=self.accelerator, identity=self.identity)


def run(bench: Bench) -> Result:
    """Two boots of a fresh disk of each, in turns."""
    cache = bench.workspace.folder("lab")
    box = bench.tools()
    lab = _Lab(
        bench=bench,
        tools=box,
        accelerator=accelerator.choose(tools=box, cache=cache / "accelerator.json"),
        identity=identity(cache),
    )
    ours, theirs = _nestos(lab), _debian(lab)
    for number in bench.rounds():
        contenders = [(_NESTOS, ours), (_DEBIAN, theirs)]
        for name, make in contenders if number % 2 else reversed(contenders):
            _boot_twice(bench, name, make())
    return bench.samples.result(
        [(f"{_NESTOS}, {boot}", f"{_DEBIAN}, {boot}") for boot in _BOOTS],
        notes=[
            f"{_CORES} cores, {_MEMORY_MIB} MiB, {lab.accelerator.name}, BIOS, GRUB, virtio; the host's clock.",
            "The end: ours, boot-complete.target after the health checks; Debian's, multi-user and cloud-init.target.",
            "Ours verifies every block it reads (dm-verity) and decompresses it; Debian's root is plain ext4.",
            "Debian's initramfs has no systemd: its time is part of “kernel” there.",
            "kernel, initrd, userspace: systemd-analyze's figures, to the default target, without firmware and GRUB.",
        ],
    )


def _nestos(lab: _Lab) -> Callable[[], Machine]:
    bench = lab.bench
    made = bench.release("base.yaml")
    image = images.ensure_disk(
        made.release,
        made.folder,
        platform="qemu",
        home=bench.workspace.home,
        runner=bench.tools(),
        progress=bench.progress,
    )
    unit = {"name": "benchmark-mark.service", "enabled": True, "contents": _UNIT}
    hostname = {"path": "/etc/hostname", "mode": 0o644, "overwrite": True, "contents": {"source": "data:,bench"}}
    config: dict[str, Any] = {**provision.EMPTY, "systemd": {"units": [unit]}, "storage": {"files": [hostname]}}
    entry = provision.fw_cfg(provision.with_key(config, key=lab.identity.public), folder=bench.folder / "nestos")
    return lambda: lab.machine(MachineSpec(name="nestos", fw_cfg=(entry,)), backing=image)


def _debian(lab: _Lab) -> Callable[[], Machine]:
    image = cloud_image.disk(lab.bench)
    seed = cloud_image.seed(lab.bench.folder, public_key=lab.identity.public, runner=lab.bench.tools(lab.bench.folder))
    disk = Disk(path=seed, format=DiskFormat.RAW, serial="seed", read_only=True)
    return lambda: lab.machine(MachineSpec(name="debian", disks=(disk,)), backing=image)


def _boot_twice(bench: Bench, name: str, machine: Machine) -> None:
    for boot in _BOOTS:
        title = f"{name}, {boot}"
        with machine:
            with bench.timed(title):
                machine.wait_for_console(cloud_image.MARK, timeout_seconds=_LIMIT_SECONDS, failing=_STOPPED)
            shell = machine.shell()
            shell.wait(timeout_seconds=_LIMIT_SECONDS)
            for part, seconds in analysed(shell("systemd-analyze time", accepted=(0, 1)).stdout).items():
                bench.samples.add(f"{title}: {part}", seconds)
            machine.poweroff(timeout_seconds=_LIMIT_SECONDS)


def analysed(text: str) -> dict[str, float]:
    """The parts of ``systemd-analyze time``'s first line, in seconds; empty where the boot has not finished."""
    found = {}
    line = text.partition("\n")[0]
    for minutes, seconds, unit, part in re.findall(r"(?:(\d+)min )?([\d.]+)(ms|s) \((\w+)\)", line):
        found[part] = int(minutes or 0) * 60 + float(seconds) / (1000 if unit == "ms" else 1)
    return found


BENCHMARK = Benchmark(
    name="boot",
    summary="power-on to boot-complete, against Debian with cloud-init in the same machine",
    run=run,
    runs=3,
    minutes=16,
)
