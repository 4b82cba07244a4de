"""Whether KVM truly works here, found out by running code under it.

That ``/dev/kvm`` exists and opens says little: nested and partial implementations accept a machine and then fail at the
first instruction they do not know, or emulate each one. So a boot sector (``probe.S``) is run that does what a stock
kernel does early: long mode, the vector and bit instructions that CPUID offers, and a hundred million steps in a
time that only a processor keeps. The answer is kept per host kernel and QEMU.
"""

from __future__ import annotations

import base64
import json
import os
import re
import tempfile
from pathlib import Path

from nestos.base import durable
from nestos.base.errors import CommandError
from nestos.host.toolbox import Toolbox
from nestos.lab.spec import Accelerator

KVM_DEVICE = Path("/dev/kvm")

_ANSWER = "guest-code-runs"
_PROBE_SECONDS = 10  # a processor needs one, most of it in the firmware
_DISK_BYTES = 1 << 20  # SeaBIOS reads no disk smaller than a cylinder
_PROBE_CODE = (
    "+jHAjtiOwI7QvAB8vwAQuQAMZjHA/Gbzq2bHBgAQAyAAAGbHBgAgAzAAAGbHBgAwgwAAAGa4ABAAAA8i2Ga4oAYAAA8i4Ga5gAAAwA8yZg0A"
    "AQAADzAPARYofWa4EQAAgA8iwOppfAgAuBAAAACO2I7QvAB8AAC4AQAAAA+iic1mD+/AZg/+wLgHAAAAMckPoonfD7rnCHMUuQMAAAC4AQAA"
    "AMTicffAg/gIdT4PuuUccxsPIOANAAAEAA8i4DHJMdK4BwAAAA8B0cX0V8m5AOH1Bf/JdfyNNCX5fAAAuvgDAACshMB0A+7r+LgQAAAAuvQA"
    "AADv9OvyZ3Vlc3QtY29kZS1ydW5zCgCNtgAAAAAAAAAAAAAAAAAAAAAAmiAAAAAAAACSAAAXABB9"
)


def probe_disk() -> bytes:
    """The disk that the probe boots from: the code of ``probe.S`` and the boot signature in its first sector."""
    code = base64.b64decode("".join(_PROBE_CODE))
    return (code.ljust(510, b"\0") + b"\x55\xaa").ljust(_DISK_BYTES, b"\0")


def software(qemu_version: tuple[int, ...], *, why: str) -> Accelerator:
    """Emulation (TCG), one thread per core.

    QEMU before 8 loses flags at ``cmpxchg16b`` (seen with 7.2: guests crash in slab code), so the guest is not
    told of that instruction there.
    """
    cpu = "max,-cx16" if qemu_version < (8,) else "max"
    return Accelerator(name="tcg", argument="tcg,thread=multi", cpu=cpu, why=why)


def foreign() -> Accelerator:
    """Emulation of another architecture: a processor without the extensions that take an emulator longest."""
    return Accelerator(name="tcg", argument="tcg,thread=multi", cpu="cortex-a76", why="another architecture")


def choose(*, tools: Toolbox, cache: Path) -> Accelerator:
    """KVM if the probe ran under it, else TCG. ``cache`` is the file that keeps the answer."""
    version_text = tools(["qemu-system-x86_64", "--version"], timeout_seconds=60).stdout
    version = parse_version(version_text)
    if not os.access(KVM_DEVICE, os.R_OK | os.W_OK):
        return software(version, why=f"{KVM_DEVICE} is not there or not ours to open")
    key = f"{os.uname().release} {'.'.join(map(str, version))}"
    refusal = _remembered(cache).get(key)
    if refusal is None:
        refusal = probe(tools)
        cache.parent.mkdir(parents=True, exist_ok=True)
        durable.write_text(cache, json.dumps(_remembered(cache) | {key: refusal}, indent=1) + "\n")
    if refusal:
        return software(version, why=f"{KVM_DEVICE} does not run real code: {refusal}")
    return Accelerator(name="kvm", argument="kvm", cpu="host", why="KVM runs real code")


def probe(tools: Toolbox) -> str:
    """Boots the probe under KVM: the empty string if it ran, else what went wrong."""
    with tempfile.TemporaryDirectory(prefix="nestos-probe-") as folder:
        disk = Path(folder) / "probe.raw"
        disk.write_bytes(probe_disk())
        box = Toolbox(tools.root, binds=[Path(folder)], devices=True)
        try:
            done = box(_command(disk), timeout_seconds=_PROBE_SECONDS, accepted=range(256))
        except CommandError as error:
            return f"the probe did not end in {_PROBE_SECONDS} s" if error.returncode == -1 else error.output[-300:]
    if _ANSWER in done.stdout:
        return ""
    return (done.stderr.strip().splitlines() or ["the probe ended without its answer"])[0]


def parse_version(text: str) -> tuple[int, ...]:
    """The numbers in what ``qemu-system-x86_64 --version`` prints; nothing recognised counts as the newest."""
    found = re.search(r"version (\d+)\.(\d+)\.(\d+)", text)
    return tuple(int(part) for part in found.groups()) if found else (99,)


def _command(disk: Path) -> list[str]:
    line = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35"]
    line += ["-accel", "kvm", "-cpu", "host", "-m", "64M", "-no-reboot", "-serial", "stdio"]
    line += ["-drive", f"if=none,id=disk0,format=raw,readonly=on,file={disk}", "-device", "virtio-blk-pci,drive=disk0"]
    return [*line, "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]


def _remembered(cache: Path) -> dict[str, str]:
    try:
        known = json.loads(cache.read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in known.items()} if isinstance(known, dict) else {}
