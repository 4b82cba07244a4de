"""A running virtual machine: started, watched, cut off, started again.

``Machine`` owns one QEMU process, its sockets and its logs. The machine of a ``with`` block ends with the block.
What the machine is, is a ``MachineSpec``; how QEMU is told, is in ``spec``.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from nestos.base.clock import Clock, SystemClock
from nestos.base.errors import CommandError, StateError
from nestos.base.paths import Root
from nestos.host import process
from nestos.host.process import Completed, Runner
from nestos.host.toolbox import Toolbox
from nestos.lab import disks, tpm
from nestos.lab.console import Console
from nestos.lab.qmp import Qmp, QmpError
from nestos.lab.spec import Accelerator, Cache, Firmware, MachineSpec, Places, command_line, firmware_variables
from nestos.lab.ssh import Identity, Ssh

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_KEPT_LINES = 15  # of QEMU's own output, in an error


class Machine:
    """A virtual machine that can be started, ended and started again on the same disks.

    ``folder`` keeps logs and firmware variables; ``tools`` is the tools tree QEMU runs from, ``runner`` starts
    the SSH client. With ``outlives_us`` QEMU goes on when this program ends, which only ``nestos run --detach`` wants.
    """

    def __init__(
        self,
        spec: MachineSpec,
        *,
        tools: Toolbox,
        folder: Path,
        accelerator: Accelerator,
        identity: Identity | None = None,
        runner: Runner = process.run,
        clock: Clock | None = None,
        outlives_us: bool = False,
    ) -> None:
        self.spec = spec
        self.folder = folder
        self.accelerator = accelerator
        self.console = Console(self.serial_log, gone=self._gone)
        self.places: Places | None = None
        self._tools = tools
        self._identity = identity
        self._runner = runner
        self.clock = clock or SystemClock()
        self._outlives_us = outlives_us
        self._process: process.Started | None = None
        self._tpm: process.Started | None = None
        self._qmp: Qmp | None = None
        self._boot_mark = 0

    @property
    def serial_log(self) -> Path:
        """The log of the serial console, over all starts."""
        return self.spec.serial_log if self.spec.serial_log is not None else self.folder / "serial.log"

    # Starting and ending

    def start(self) -> None:
        """Starts the machine. Raises ``StateError`` when it runs already or QEMU refuses."""
        if self.is_running:
            raise StateError(f"the machine {self.spec.name} is running already")
        self._forget()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._boot_mark = self.console.mark()
        places = Places(folder=self.folder, sockets=Path(tempfile.mkdtemp(prefix="nestos-vm-")))
        self.places = places
        spec = self._prepared(places)
        command = command_line(spec, accelerator=self.accelerator, places=places)
        tools = self._visible_to_qemu(spec, places)
        with (self.folder / "qemu.log").open("ab") as log:
            if spec.tpm is not None:
                self._tpm = tpm.start(spec.tpm, socket=places.tpm, tools=self._tools, log=log, clock=self.clock)
            self._process = process.start(tools.wrap(command, outlives_us=self._outlives_us), output=log)
        self._connect(places)

    def close(self) -> None:
        """Ends the machine, if it runs, and removes its sockets. Its disks keep what QEMU holds of them."""
        if self.is_running:
            with suppress(QmpError):
                self.qmp.quit()
            with suppress(StateError):
                self.wait_for_exit(timeout_seconds=20)
            self._signal()
        self._forget()

    def kill(self) -> None:
        """Cuts the power: QEMU dies at once, and with it every write the guest had not flushed (see ``spec``).

        Raises ``StateError`` for a disk whose cache ignores flushes: after a kill it would be worse than any real one.
        """
        unsafe = [disk.path.name for disk in self.spec.all_disks() if disk.cache is Cache.UNSAFE]
        if unsafe and not self.spec.snapshot:
            raise StateError(f"a power cut with cache=unsafe proves nothing: {', '.join(unsafe)}")
        self._signal()
        self._forget()

    def cut_off(self) -> None:
        """Ends QEMU at once, from any thread, whatever becomes of its disks. For giving up, not for testing."""
        self._signal()

    def leave(self) -> None:
        """Lets go of a machine that ``outlives_us``: it goes on, and whoever knows its sockets may take over."""
        if self._qmp is not None:
            self._qmp.close()
            self._qmp = None
        self.places = None

    def poweroff(self, *, timeout_seconds: float = 120) -> None:
        """Presses the power button and waits until the guest has shut down. Raises ``StateError`` if it does not."""
        self.qmp.press_power_button()
        self.wait_for_exit(timeout_seconds=timeout_seconds)
        self._forget()

    def wait_for_exit(self, *, timeout_seconds: float) -> int:
        """Waits until QEMU ends by itself and returns its exit status. Raises ``StateError`` when it does not."""
        deadline = self.clock.monotonic() + timeout_seconds
        while (status := self.exit_status) is None:
            if self.clock.monotonic() >= deadline:
                raise StateError(f"the machine {self.spec.name} still runs after {timeout_seconds:.0f} s")
            self.clock.sleep(_POLL_SECONDS)
        return status

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Looking at it

    @property
    def is_running(self) -> bool:
        """True while QEMU lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_status(self) -> int | None:
        """QEMU's exit status, negative for a signal; none while it runs. Raises ``StateError`` before any start."""
        if self._process is None:
            raise StateError(f"the machine {self.spec.name} was not started")
        return self._process.poll()

    @property
    def pid(self) -> int:
        """The process id of the sandbox that QEMU runs in; its process group holds all of the machine."""
        if self._process is None:
            raise StateError(f"the machine {self.spec.name} was not started")
        return self._process.pid

    @property
    def qmp(self) -> Qmp:
        """The control connection."""
        if self._qmp is None:
            raise StateError(f"the machine {self.spec.name} is not running")
        return self._qmp

    def port(self, guest: int) -> int:
        """The port of 127.0.0.1 that leads to port ``guest`` of the machine."""
        port = self.ports().get(guest)
        if port is None:
            raise StateError(f"port {guest} of the machine {self.spec.name} is not forwarded")
        return port

    def ports(self) -> dict[int, int]:
        """Every forwarded port: of the guest, to that of 127.0.0.1."""
        return forwarded_ports(self.qmp.human("info usernet")) if self.spec.has_nic else {}

    # Working with it

    def wait_for_console(
        self, pattern: str, *, timeout_seconds: float, since: int | None = None, failing: str = ""
    ) -> re.Match[str]:
        """Waits for text on the console, by default since the machine was last started; see ``Console.wait``."""
        start = self._boot_mark if since is None else since
        return self.console.wait(pattern, timeout_seconds=timeout_seconds, since=start, failing=failing)

    def shell(self, *, user: str = "nest") -> Ssh:
        """SSH into the machine. Raises ``StateError`` when no key was given for it."""
        if self._identity is None:
            raise StateError(f"no SSH key was given for the machine {self.spec.name}")
        return Ssh(port=self.port(22), identity=self._identity, user=user, runner=self._runner, clock=self.clock)

    def ssh(
        self,
        command: str,
        /,
        *,
        timeout_seconds: float = 120,
        accepted: tuple[int, ...] = (0,),
        stdin: str | bytes | None = None,
    ) -> Completed:
        """Runs a command in the machine as its default user; raises ``CommandError`` when it fails."""
        return self.shell()(command, timeout_seconds=timeout_seconds, accepted=accepted, stdin=stdin)

    # Within

    def _prepared(self, places: Places) -> MachineSpec:
        """The spec as QEMU gets it: firmware variables at hand, an overlay in place of an image not to be written."""
        if self.spec.firmware is Firmware.UEFI and not places.variables.exists():
            shutil.copyfile(Root(self._tools.root).join(firmware_variables(self.spec.architecture)), places.variables)
        if not self.spec.snapshot or self.spec.image is None:
            return self.spec
        overlay = places.folder / "snapshot.qcow2"
        overlay.unlink(missing_ok=True)
        disks.create_overlay(overlay, backing=self.spec.image, tools=self._tools)
        return replace(self.spec, image=overlay, snapshot=False)

    def _visible_to_qemu(self, spec: MachineSpec, places: Places) -> Toolbox:
        opened = [*spec.files(), places.folder / "qemu.log"]
        folders = {path.absolute().parent for path in opened}
        for disk in spec.all_disks():
            folders |= {path.parent for path in disks.backing_chain(disk.path)}
        folders.add(places.sockets)
        return Toolbox(self._tools.root, binds=sorted(folders), network=True, devices=self.accelerator.name == "kvm")

    def _connect(self, places: Places) -> None:
        """The control connection of the QEMU just started; its own words when it ended instead."""
        deadline = self.clock.monotonic() + 60
        while True:
            if self._gone():
                said = (self.folder / "qemu.log").read_text(errors="replace").splitlines()[-_KEPT_LINES:]
                status = self.exit_status or 0
                raise CommandError(
                    f"QEMU did not start the machine {self.spec.name}: " + "\n".join(said),
                    returncode=status,
                    output="\n".join(said),
                )
            try:
                self._qmp = Qmp.connect(places.qmp, timeout_seconds=1)
                return
            except QmpError:
                if self.clock.monotonic() >= deadline:
                    raise

    def _gone(self) -> str:
        if self._process is None:
            return f"the machine {self.spec.name} was not started"
        status = self._process.poll()
        return "" if status is None else f"the machine {self.spec.name} ended with status {status}"

    def _signal(self) -> None:
        """Kills QEMU and its sandbox, which share a process group, and waits for their end."""
        if self._process is None or not self.is_running:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _forget(self) -> None:
        if self._qmp is not None:
            self._qmp.close()
            self._qmp = None
        if self._tpm is not None and not self.is_running:
            # It has ended with QEMU's connection, unless there never was one.
            self._tpm.kill()
            self._tpm.wait()
            self._tpm = None
        if self.places is not None and not self.is_running:
            shutil.rmtree(self.places.sockets, ignore_errors=True)
            self.places = None


def forwarded_ports(table: str) -> dict[int, int]:
    """Guest port to host port, from the output of QEMU's ``info usernet``.

    QEMU has no QMP command for it; a port given as 0 was chosen by the kernel and appears only here.
    """
    found = re.findall(r"^\s*TCP\[HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)\s+\S+\s+(\d+)", table, re.MULTILINE)
    return {int(guest): int(host) for host, guest in found}
