"""What a virtual machine is, as a value, and the QEMU command line that follows from it.

Pure: nothing here looks at the file system or starts anything. ``machine`` owns the running process.

How far a killed QEMU equals a power cut is decided here, by ``Cache``. With ``writeback`` QEMU tells the guest
that its disk has a volatile cache, so the guest's flushes mean something. A write that QEMU has completed into a raw
file lives in the host's page cache and survives the death of QEMU; only writes in flight are lost. In a qcow2 file the
first write to a cluster becomes visible only with its table entry, which QEMU keeps in its own memory until the
guest flushes (docs/interop/qcow2.txt, block/qcow2-cache.c): killed before that flush, the guest finds the old
content. A kill under ``writeback`` on a qcow2 overlay therefore drops unflushed data and keeps flushed data, which is
what losing power does. ``writethrough`` would hide the cache from the guest, and ``unsafe`` ignores the guest's
flushes, so that a kill may lose what was promised to be durable: both would test something that no disk does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

IGNITION_CONFIG = "opt/com.coreos/config"
"""The fw_cfg entry that Ignition's ``qemu`` provider reads."""


@dataclass(frozen=True, kw_only=True)
class _Board:
    """What QEMU calls a machine of one architecture, and its UEFI firmware: the program and its empty variables."""

    type: str
    uefi: Path
    variables: Path


_BOARDS = {
    "x86_64": _Board(
        type="q35", uefi=Path("/usr/share/OVMF/OVMF_CODE_4M.fd"), variables=Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
    ),
    "aarch64": _Board(
        type="virt,gic-version=3",
        uefi=Path("/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd"),
        variables=Path("/usr/share/AAVMF/AAVMF_VARS.fd"),
    ),
}


def firmware_variables(architecture: str) -> Path:
    """The variables that a new UEFI machine begins with, a file of the tools tree."""
    return _BOARDS[architecture].variables


class Firmware(StrEnum):
    """What starts the boot loader."""

    BIOS = "bios"
    UEFI = "uefi"


class Cache(StrEnum):
    """What happens to the guest's flushes; the module docstring says why there are only these two."""

    WRITEBACK = "writeback"
    UNSAFE = "unsafe"


class DiskFormat(StrEnum):
    """How a disk lies in its file."""

    RAW = "raw"
    QCOW2 = "qcow2"

    @classmethod
    def of(cls, path: Path) -> DiskFormat:
        """The format that a file's name promises: qcow2 by its suffix, raw otherwise."""
        return cls.QCOW2 if path.suffix == ".qcow2" else cls.RAW


@dataclass(frozen=True, kw_only=True)
class Disk:
    """One virtio disk. ``serial`` becomes ``/dev/disk/by-id/virtio-<serial>`` in the guest; empty: ``disk<n>``."""

    path: Path
    format: DiskFormat
    cache: Cache = Cache.WRITEBACK
    serial: str = ""
    read_only: bool = False


@dataclass(frozen=True, kw_only=True)
class Forward:
    """A TCP port of the guest reachable at 127.0.0.1 of the host; ``host`` 0 lets the kernel choose a free one."""

    guest: int
    host: int = 0


@dataclass(frozen=True, kw_only=True)
class MachineSpec:
    """A virtual machine before it runs.

    ``image`` is the disk it boots from (none: only with ``kernel``); its format follows from its suffix. With
    ``snapshot`` the image is never written: a throw-away overlay takes the writes. ``fw_cfg`` pairs a name with the
    file that holds the value. ``serial_log`` none means ``serial.log`` in the machine's folder. ``cpu`` empty means the
    accelerator's choice. ``load_state`` names an internal snapshot made by ``Machine.save_state`` to resume from.
    ``tpm`` is the folder in which a TPM 2 keeps its memory; none: the machine has no TPM. Only x86_64 has a BIOS.
    """

    name: str
    architecture: str = "x86_64"
    image: Path | None = None
    firmware: Firmware = Firmware.BIOS
    memory_mib: int = 2048
    cores: int = 2
    cache: Cache = Cache.WRITEBACK
    snapshot: bool = False
    disks: tuple[Disk, ...] = ()
    forwards: tuple[Forward, ...] = (Forward(guest=22),)
    fw_cfg: tuple[tuple[str, Path], ...] = ()
    kernel: Path | None = None
    initrd: Path | None = None
    kernel_arguments: str = ""
    serial_log: Path | None = None
    has_nic: bool = True
    has_watchdog: bool = True
    has_rng: bool = True
    stops_on_reboot: bool = False
    cpu: str = ""
    load_state: str = ""
    tpm: Path | None = None

    def all_disks(self) -> tuple[Disk, ...]:
        """The boot disk, if there is one, and the others, in the order the guest sees them."""
        if self.image is None:
            return self.disks
        boot = Disk(path=self.image, format=DiskFormat.of(self.image), cache=self.cache, serial="boot")
        return (boot, *self.disks)

    def files(self) -> tuple[Path, ...]:
        """Every file of the host that QEMU opens for this machine, but for sockets, logs and firmware."""
        named = [disk.path for disk in self.all_disks()] + [path for _, path in self.fw_cfg]
        return tuple(named + [path for path in (self.kernel, self.initrd, self.serial_log) if path is not None])


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """How the guest's code is run: the value of ``-accel`` and the CPU model that goes with it.

    ``name`` is ``kvm`` or ``tcg``; ``why`` is a sentence for people about the choice.
    """

    name: str
    argument: str
    cpu: str
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where one run of a machine keeps its things.

    ``folder`` holds what stays (logs, firmware variables), ``sockets`` what goes; apart, because the path of a Unix
    socket has at most 107 bytes (unix(7)).
    """

    folder: Path
    sockets: Path

    @property
    def qmp(self) -> Path:
        """The control socket."""
        return self.sockets / "qmp"

    @property
    def console(self) -> Path:
        """The serial console's socket; one person at a time."""
        return self.sockets / "console"

    @property
    def tpm(self) -> Path:
        """The socket of the TPM."""
        return self.sockets / "tpm"

    @property
    def variables(self) -> Path:
        """The UEFI variables of this machine."""
        return self.folder / "uefi-variables.fd"


def command_line(spec: MachineSpec, *, accelerator: Accelerator, places: Places) -> list[str]:
    """The QEMU command for ``spec``.

    The console goes to ``places.console`` and, whether or not anyone is attached, to the serial log, appended.
    """
    log = spec.serial_log if spec.serial_log is not None else places.folder / "serial.log"
    board = _BOARDS[spec.architecture]
    line = [f"qemu-system-{spec.architecture}", "-name", spec.name, "-nodefaults", "-no-user-config"]
    line += ["-display", "none", "-machine", board.type]
    line += ["-accel", accelerator.argument, "-cpu", spec.cpu or accelerator.cpu]
    line += ["-smp", str(spec.cores), "-m", f"{spec.memory_mib}M", "-rtc", "base=utc"]
    line += ["-qmp", f"unix:{_quoted(places.qmp)},server=on,wait=off"]
    console = f"socket,id=console,path={_quoted(places.console)},server=on,wait=off"
    line += ["-chardev", f"{console},logfile={_quoted(log)},logappend=on", "-serial", "chardev:console"]
    line += _firmware(spec, places) + _disks(spec) + _devices(spec, places) + _network(spec)
    for name, path in spec.fw_cfg:
        line += ["-fw_cfg", f"name={name},file={_quoted(path)}"]
    if spec.kernel is not None:
        line += ["-kernel", str(spec.kernel), "-append", spec.kernel_arguments]
        line += ["-initrd", str(spec.initrd)] if spec.initrd is not None else []
    if spec.stops_on_reboot:
        line += ["-action", "reboot=shutdown"]
    if spec.load_state:
        line += ["-loadvm", spec.load_state]
    return line


def _quoted(path: Path) -> str:
    """A path inside a QEMU option, where a comma is written twice."""
    return str(path).replace(",", ",,")


_TPMS = {"x86_64": "tpm-crb", "aarch64": "tpm-tis-device"}


def _firmware(spec: MachineSpec, places: Places) -> list[str]:
    if spec.firmware is Firmware.BIOS:
        return []
    return [
        "-drive",
        f"if=pflash,unit=0,format=raw,readonly=on,file={_BOARDS[spec.architecture].uefi}",
        "-drive",
        f"if=pflash,unit=1,format=raw,file={_quoted(places.variables)}",
    ]


def _disks(spec: MachineSpec) -> list[str]:
    line: list[str] = []
    for number, disk in enumerate(spec.all_disks()):
        name = f"disk{number}"
        drive = f"if=none,id={name},file={_quoted(disk.path)},format={disk.format},cache={disk.cache}"
        drive += ",discard=unmap" if not disk.read_only else ",readonly=on"
        line += ["-drive", drive]
        line += ["-device", f"virtio-blk-pci,drive={name},serial={disk.serial or name},bootindex={number + 1}"]
    return line


def _devices(spec: MachineSpec, places: Places) -> list[str]:
    line: list[str] = []
    if spec.has_rng:
        line += ["-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng0"]
    if spec.has_watchdog:
        line += ["-device", "i6300esb", "-action", "watchdog=reset"]
    if spec.tpm is not None:
        line += ["-chardev", f"socket,id=tpm,path={_quoted(places.tpm)}"]
        line += ["-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", f"{_TPMS[spec.architecture]},tpmdev=tpm0"]
    return line


def _network(spec: MachineSpec) -> list[str]:
    if not spec.has_nic:
        return ["-nic", "none"]
    forwards = "".join(f",hostfwd=tcp:127.0.0.1:{item.host}-:{item.guest}" for item in spec.forwards)
    # An empty romfile: nothing boots from this network card, and its ROM costs a second under TCG.
    return ["-netdev", f"user,id=net0{forwards}", "-device", "virtio-net-pci,netdev=net0,romfile="]
