"""``nestos run``: boots an image in a virtual machine, with any config, for a person to use."""

from __future__ import annotations

import argparse
import platform
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from nestos.base.errors import InputError, NestosError, StateError
from nestos.base.log import Progress
from nestos.compose.workspace import Workspace
from nestos.host.toolbox import Toolbox
from nestos.lab import console, disks, emulator, provision, registry
from nestos.lab.machine import Machine
from nestos.lab.registry import Running
from nestos.lab.spec import Disk, DiskFormat, Firmware, Forward, MachineSpec
from nestos.lab.ssh import DEFAULT_USER, Identity, Ssh, identity

_EPILOG = """\
examples:
  nestos run node.qcow2 --butane=node.bu            boot, provision, print the way in, until Ctrl-C
  nestos run node.qcow2 --snapshot --console        try something, keep nothing; Ctrl-] leaves
  nestos run node.raw --firmware=uefi --memory=4G --cores=4 --disk=20G --forward=8080:80
  nestos run node.qcow2 --name=one --detach         leave it running, then:
  nestos run --list | --attach=one | --stop=one

Without --console the serial console goes to a log whose place is printed. The lab's own SSH key is added to the
config for the user nest, unless --no-key. KVM is used where it truly works, emulation otherwise.
"""
_SSH_SECONDS = 600.0
_LONGEST_SECONDS = 366 * 86400.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``nestos run`` to ``parser``."""
    parser.add_argument("image", type=Path, nargs="?", metavar="IMAGE", help="disk image, raw or qcow2 (by its suffix)")
    config = parser.add_mutually_exclusive_group()
    config.add_argument("--butane", type=Path, metavar="FILE", help="provision from this Butane config")
    config.add_argument("--ignition", type=Path, metavar="FILE", help="provision from this Ignition config")
    parser.add_argument("--no-key", action="store_true", help="leave the config as it is, without the lab's SSH key")
    architecture(parser)
    parser.add_argument("--memory", type=mebibytes, default=2048, metavar="SIZE", help="default: 2G")
    parser.add_argument("--cores", type=int, default=2, metavar="N", help="default: 2")
    parser.add_argument("--cpu", default="", metavar="MODEL", help="QEMU's CPU model (default: all there is)")
    parser.add_argument("--disk", action="append", default=[], metavar="SIZE", help="one more, empty disk; repeatable")
    parser.add_argument(
        "--forward",
        action="append",
        type=forward,
        default=[],
        metavar="[HOST:]GUEST",
        help="a TCP port of the node on 127.0.0.1; repeatable; SSH always is",
    )
    parser.add_argument("--fw-cfg", action="append", default=[], metavar="NAME=FILE", help="one more fw_cfg entry")
    parser.add_argument("--kernel", type=Path, metavar="FILE", help="boot this kernel directly")
    parser.add_argument("--initrd", type=Path, metavar="FILE", help="with --kernel")
    parser.add_argument("--append", default="", metavar="WORDS", help="kernel command line, with --kernel")
    parser.add_argument("--snapshot", action="store_true", help="never write to IMAGE; forget every change at the end")
    parser.add_argument("--name", metavar="NAME", help="default: from IMAGE")
    parser.add_argument(
        "--tools-tree", type=Path, metavar="DIR", help="run QEMU from this root, not from the cached one"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--console", action="store_true", help="attach this terminal to the serial console")
    how.add_argument("--detach", action="store_true", help="leave the machine running and return")
    how.add_argument("--attach", metavar="NAME", help="attach to the console of a running machine")
    how.add_argument("--stop", metavar="NAME", help="end a running machine")
    how.add_argument("--list", action="store_true", help="list the running machines")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the sub-command; its ``handler`` takes the parsed options and returns the exit code."""
    parser = subparsers.add_parser(
        "run",
        help="boot an image in a virtual machine",
        description="Boot a disk image in a virtual machine, provision it, and say how to get in.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments(parser)
    parser.set_defaults(handler=run)


def architecture(parser: argparse.ArgumentParser) -> None:
    """Adds what says which kind of machine it is."""
    parser.add_argument("--arch", default=platform.machine(), help="x86_64 or aarch64; default: this machine's")
    parser.add_argument("--firmware", type=Firmware, metavar="bios|uefi", help="default: bios where there is one")


def firmware_of(options: argparse.Namespace) -> Firmware:
    """What the machine boots by. Raises ``InputError`` for a BIOS where none exists."""
    if options.arch == "x86_64":
        return options.firmware or Firmware.BIOS
    if options.firmware is Firmware.BIOS:
        raise InputError(f"a machine of the type {options.arch} has no BIOS", hint="--firmware=uefi")
    return Firmware.UEFI


def run(options: argparse.Namespace) -> int:
    """Does what the options ask and returns the exit code."""
    workspace = Workspace.default()
    machines = workspace.home / "machines"
    if options.list:
        for item in registry.every(machines):
            print(f"{item.name}\tssh port {item.ssh_port or 'none'}\t{item.image}")
        return 0
    if options.stop:
        registry.stop(registry.find(machines, options.stop), folder=machines / options.stop)
        return 0
    if options.attach:
        print("attached; Ctrl-] leaves, the machine goes on", file=sys.stderr)
        console.attach(Path(registry.find(machines, options.attach).console))
        return 0
    return _boot(options, workspace=workspace, machines=machines)


def spec_of(
    options: argparse.Namespace, *, name: str, extra_disks: Sequence[Path], config: tuple[str, Path] | None
) -> MachineSpec:
    """The machine that the options describe. Raises ``InputError`` where they do not go together."""
    if options.image is None and options.kernel is None:
        raise InputError("no IMAGE was given", hint="nestos run --help shows examples")
    if options.kernel is None and (options.initrd or options.append):
        raise InputError("--initrd and --append need --kernel")
    for path in (options.image, options.kernel, options.initrd):
        if path is not None and not path.is_file():
            raise InputError(f"there is no file {path}")
    values = [_fw_cfg(text) for text in options.fw_cfg]
    forwards = tuple(options.forward)
    if 22 not in {item.guest for item in forwards}:
        forwards = (Forward(guest=22), *forwards)
    return MachineSpec(
        name=name,
        architecture=options.arch,
        image=options.image.absolute() if options.image else None,
        firmware=firmware_of(options),
        memory_mib=options.memory,
        cores=options.cores,
        cpu=options.cpu,
        snapshot=options.snapshot,
        disks=tuple(
            Disk(path=path, format=DiskFormat.of(path), serial=f"extra{number}")
            for number, path in enumerate(extra_disks, start=1)
        ),
        forwards=forwards,
        fw_cfg=(*([config] if config else []), *values),
        kernel=options.kernel.absolute() if options.kernel else None,
        initrd=options.initrd.absolute() if options.initrd else None,
        kernel_arguments=options.append,
    )


def name_of(options: argparse.Namespace) -> str:
    """The machine's name: as given, else from the image. Raises ``InputError`` for one that is no file name."""
    source = options.image or options.kernel
    name = options.name or (source.stem if source else "machine")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", name):
        raise InputError(f"{name!r} cannot name a machine: letters, digits, dots, dashes", hint="give a --name")
    return str(name)


def mebibytes(text: str) -> int:
    """``2048``, ``2048M`` or ``2G`` in MiB."""
    found = re.fullmatch(r"(\d+)([MG]?)i?B?", text, re.IGNORECASE)
    if not found or int(found.group(1)) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; for example 2048, 2048M or 2G")
    return int(found.group(1)) * (1024 if found.group(2).upper() == "G" else 1)


def forward(text: str) -> Forward:
    """``8080:80`` or ``80``, for which a free port is chosen."""
    host, _, guest = text.rpartition(":")
    try:
        item = Forward(guest=int(guest), host=int(host or 0))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no HOST:GUEST pair of ports") from error
    if not (0 < item.guest < 65536 and 0 <= item.host < 65536):
        raise argparse.ArgumentTypeError(f"{text!r}: a port is between 1 and 65535")
    return item


def way_in(running: Running, *, key: Identity, user: str = DEFAULT_USER) -> str:
    """Lines for a person: how to get into the machine by SSH and console."""
    ssh = shlex.join(Ssh(port=running.ssh_port, identity=key, user=user).command_line())
    lines = [f"ssh:      {ssh}"] if running.ssh_port else []
    lines += [f"port {guest}: 127.0.0.1:{host}" for guest, host in running.ports.items() if guest != "22"]
    lines += [f"console:  nestos run --attach={running.name}", f"log:      {running.serial_log}"]
    return "\n".join(lines)


def _boot(options: argparse.Namespace, *, workspace: Workspace, machines: Path) -> int:
    progress = Progress()
    name = name_of(options)
    key = identity(workspace.folder("lab"))
    config = _config(options, key=key)
    spec_of(options, name=name, extra_disks=(), config=None)  # what is wrong with the options, before any work
    found = emulator.find(options.arch, workspace=workspace, progress=progress)
    box = Toolbox(options.tools_tree) if options.tools_tree else found.tools
    folder = registry.claim(machines, name)
    spec = spec_of(
        options,
        name=name,
        extra_disks=_extra_disks(options, folder=folder, box=box),
        config=provision.fw_cfg(config, folder=folder) if config is not None else None,
    )
    chosen = found.accelerator
    progress.say(f"{name}: {spec.cores} cores, {spec.memory_mib} MiB, {spec.firmware}, {chosen.name} ({chosen.why})")
    machine = Machine(spec, tools=box, folder=folder, accelerator=chosen, identity=key, outlives_us=options.detach)
    machine.serial_log.unlink(missing_ok=True)
    left = False
    try:
        machine.start()
        print(way_in(registry.record(machine), key=key), flush=True)
        if options.detach:
            machine.leave()
            left = True
            return 0
        _accompany(machine, options, progress=progress)
    except KeyboardInterrupt:
        progress.say(f"{name}: ended")
    finally:
        if not left:
            machine.close()
            registry.forget(folder)
    return 0


def _accompany(machine: Machine, options: argparse.Namespace, *, progress: Progress) -> None:
    """Stays with the machine until it ends."""
    if options.console and machine.places is not None:
        print("attached; Ctrl-] ends the machine", file=sys.stderr)
        console.attach(machine.places.console)
        return
    if machine.spec.has_nic and not options.no_key:
        try:
            machine.shell().wait(timeout_seconds=_SSH_SECONDS)
            progress.say(f"{machine.spec.name}: SSH answers; Ctrl-C ends the machine")
        except NestosError as error:
            if not machine.is_running:
                raise StateError(f"{error}\n{machine.console.tail(lines=15)}") from error
            progress.say(f"{machine.spec.name}: {error}; see its console")
    machine.wait_for_exit(timeout_seconds=_LONGEST_SECONDS)
    progress.say(f"{machine.spec.name}: shut down")


def _config(options: argparse.Namespace, *, key: Identity) -> dict[str, object] | None:
    if options.butane:
        config = provision.from_butane(options.butane)
    elif options.ignition:
        config = provision.from_ignition(options.ignition)
    elif options.no_key:
        return None
    else:
        config = provision.EMPTY
    return config if options.no_key else provision.with_key(config, key=key.public)


def _extra_disks(options: argparse.Namespace, *, folder: Path, box: Toolbox) -> list[Path]:
    made = []
    for number, size in enumerate(options.disk, start=1):
        path = folder / f"extra{number}.qcow2"
        if options.snapshot or not path.exists():
            path.unlink(missing_ok=True)
            disks.create_empty(path, size=size, tools=box)
        made.append(path)
    return made


def _fw_cfg(text: str) -> tuple[str, Path]:
    name, separator, file = text.partition("=")
    if not separator or not Path(file).is_file():
        raise InputError(f"--fw-cfg={text}: expected NAME=FILE with a file that exists")
    return name, Path(file).absolute()
