"""``nestos up``: everything from the manifest to a provisioned node with a running container, in one command."""

from __future__ import annotations

import argparse
import hashlib
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nestos.base import durable
from nestos.base.errors import NestosError, StateError
from nestos.base.log import Progress
from nestos.cli import compose, run, serve
from nestos.compose import pipeline
from nestos.compose.pipeline import Options
from nestos.compose.workspace import Workspace
from nestos.host.toolbox import Toolbox
from nestos.lab import container_image, disks, emulator, provision, registry
from nestos.lab.emulator import Emulator
from nestos.lab.machine import Machine
from nestos.lab.registry import Running
from nestos.lab.spec import Forward, MachineSpec
from nestos.lab.ssh import Identity, identity

NAME = "nest1"
_HELLO_PORT = 8080
_DISK_SIZE = "20G"  # sparse; the node's /var grows into it on first boot
_BOOT_SECONDS = 1800.0
_STOPPED = r"nestos: the first boot stopped|Kernel panic|neither slot can be loaded"
_HELLO_SECONDS = 900.0
_EPILOG = """\
examples:
  nestos up                      the default edition and its example config
  nestos up --butane=my.bu       the same with your own config
  nestos up --fresh              forget the node's disk and provision a new one
  nestos down                    end the node; its disk stays, the next `up` starts it again

A second `up` composes nothing that did not change and starts the node from its own disk.
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds ``up`` and ``down``."""
    parser = subparsers.add_parser(
        "up",
        help="compose, build, boot and provision a node",
        description="Compose the system, build a disk image, boot it, provision it, run a container on it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="default: the default edition")
    parser.add_argument("--butane", type=Path, metavar="FILE", help="default: the edition's example.bu")
    parser.add_argument("--fresh", action="store_true", help="provision a new node even if there is one")
    run.architecture(parser)
    parser.add_argument("--memory", type=int, default=2048, metavar="MIB", help="default: 2048")
    parser.set_defaults(handler=up)
    ended = subparsers.add_parser("down", help="end the node of `up`", description="End the node of `up`.")
    ended.set_defaults(handler=down)


def down(options: argparse.Namespace) -> int:  # noqa: ARG001 - every handler takes the options
    """Ends the node."""
    machines = Workspace.default().home / "machines"
    registry.stop(registry.find(machines, NAME), folder=machines / NAME)
    return 0


def up(options: argparse.Namespace) -> int:
    """Brings the node up and prints the way in."""
    progress = Progress()
    workspace = Workspace.default()
    folder = workspace.folder("machines", NAME)
    key = identity(workspace.folder("lab"))
    running = registry.load(folder)
    if running is not None and not options.fresh:
        progress.say(f"{NAME} is running already")
        print(_summary(running, key=key))
        return 0
    if running is not None:
        registry.stop(running, folder=folder)
    made = pipeline.compose(
        options.manifest or compose.default_manifest(),
        workspace=workspace,
        options=Options(arch=options.arch),
        progress=progress,
    )
    image = compose.disk_image(made, workspace=workspace, progress=progress)
    found = emulator.find(options.arch, workspace=workspace, progress=progress)
    box, chosen = found.tools, found.accelerator
    config = _config(options.butane, workspace=workspace, folder=folder, found=found, key=key)
    disk, is_new = _disk(image, folder=folder, config=config, fresh=options.fresh, box=box)
    spec = MachineSpec(
        name=NAME,
        architecture=options.arch,
        image=disk,
        firmware=run.firmware_of(options),
        memory_mib=options.memory,
        forwards=(Forward(guest=22), Forward(guest=_HELLO_PORT)),
        fw_cfg=(config,),
    )
    machine = Machine(spec, tools=box, folder=folder, accelerator=chosen, identity=key, outlives_us=True)
    with progress.stage(f"{NAME}: {'first boot' if is_new else 'boot'} of {made.release.version}, {chosen.name}"):
        running = _start(machine, workspace=workspace, serves=options.butane is None)
    if options.butane is None:
        _hello(running, progress=progress)
    print(_summary(running, key=key))
    return 0


def _config(
    butane: Path | None, *, workspace: Workspace, folder: Path, found: Emulator, key: Identity
) -> tuple[str, Path]:
    """The node's Ignition config as an fw_cfg entry. The example gets the digest of the image it fetches."""
    if butane is not None:
        config = provision.from_butane(butane)
    else:
        image = container_image.archive(found.busybox, architecture=found.architecture)
        (workspace.folder("files") / "busybox.tar").write_bytes(image)
        example = folder / "example.bu"
        text = (compose.checkout() / "editions/debian/example.bu").read_text()
        example.write_text(text.replace("@BUSYBOX_SHA256@", hashlib.sha256(image).hexdigest()))
        config = provision.from_butane(example)
    return provision.fw_cfg(provision.with_key(config, key=key.public), folder=folder)


def _disk(image: Path, *, folder: Path, config: tuple[str, Path], fresh: bool, box: Toolbox) -> tuple[Path, bool]:
    """The node's disk, an overlay over ``image``, and whether it is new: kept until image or config change."""
    disk, made_of = folder / "disk.qcow2", folder / "disk.json"
    shape = {"image": str(image), "config": hashlib.sha256(config[1].read_bytes()).hexdigest()}
    known = json.loads(made_of.read_text()) if made_of.exists() else None
    if disk.exists() and known == shape and not fresh:
        return disk, False
    disk.unlink(missing_ok=True)
    disks.create_overlay(disk, backing=image, tools=box, size=_DISK_SIZE)
    durable.write_text(made_of, json.dumps(shape))
    return disk, True


def _start(machine: Machine, *, workspace: Workspace, serves: bool) -> Running:
    """Starts the machine and waits for SSH. With ``serves``, what its config fetches is served meanwhile."""
    machine.serial_log.unlink(missing_ok=True)
    with ExitStack() as stack:
        if serves:
            stack.enter_context(_serving(workspace))
        machine.start()
        try:
            running = registry.record(machine)
            machine.wait_for_console(r"login: ", timeout_seconds=_BOOT_SECONDS, failing=_STOPPED)
            machine.shell().wait(timeout_seconds=_BOOT_SECONDS)
        except NestosError as error:
            tail = machine.console.tail(lines=25)
            machine.close()
            registry.forget(machine.folder)
            raise StateError(f"the node did not come up: {error}\n{tail}", hint=f"log: {machine.serial_log}") from error
        machine.leave()
    return running


@contextmanager
def _serving(workspace: Workspace) -> Iterator[None]:
    """The cache's files on the port that the example names, unless ``nestos serve`` does that already."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", serve.DEFAULT_PORT)) == 0:
            yield
            return
    with serve.server(workspace) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()


def _hello(running: Running, *, progress: Progress) -> None:
    """Waits for the example's container."""
    address = f"http://127.0.0.1:{running.ports[str(_HELLO_PORT)]}/"
    with progress.stage("container"):
        for _ in range(int(_HELLO_SECONDS / 2)):
            try:
                with urllib.request.urlopen(address, timeout=2) as answer:
                    progress.say(f"{address} answers: {answer.read(80).decode(errors='replace').strip()}")
                    return
            except OSError:
                time.sleep(2)
        raise StateError(f"no container answers on {address}", hint=f"log: {running.serial_log}")


def _summary(running: Running, *, key: Identity) -> str:
    return f"{running.name} is up\n{run.way_in(running, key=key)}\nend it:   nestos down"
