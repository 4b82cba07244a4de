"""A node as scenarios see it: over SSH and its console, in the words of its own ``nestos status --json``."""

from __future__ import annotations

import json
import platform
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nestos.base.errors import CommandError, StateError
from nestos.host.process import Completed
from nestos.lab import disks
from nestos.lab.machine import Machine
from nestos.lab.scenario import Lab
from nestos.lab.spec import Firmware, MachineSpec

BOOT_SECONDS = 1200.0
"""How long a boot without KVM may take. Two minutes are usual, ten were seen on a slow machine with much else to do."""

UPDATE_SECONDS = 1500.0
LOGIN = r"^\S+ login:"
STOPPED = r"the first boot stopped.*|Kernel panic.*|Entering emergency mode.*"
TEST_REF = "nestos/x86_64/test"
_POLL_SECONDS = 3.0

FRESH: Mapping[str, Any] = {"ignition": {"version": "3.4.0"}}
"""A config that asks for nothing; the lab adds its key."""


@dataclass(frozen=True)
class Node:
    """A machine that runs the system under test."""

    lab: Lab
    machine: Machine

    # Commands

    def run(self, command: str, *, timeout_seconds: float = 180, accepted: tuple[int, ...] = (0,)) -> Completed:
        """Runs a shell line as root."""
        line = f"sudo -n sh -c {shlex.quote(command)}"
        return self.machine.ssh(line, timeout_seconds=timeout_seconds, accepted=accepted)

    def output(self, command: str, *, timeout_seconds: float = 180) -> str:
        """What a shell line run as root prints, without the last line end."""
        return self.run(command, timeout_seconds=timeout_seconds).stdout.strip()

    def read(self, path: str) -> str:
        """The content of a file."""
        return self.run(f"cat {shlex.quote(path)}").stdout

    def write(self, path: str, text: str) -> None:
        """Replaces a file, and makes it durable."""
        quoted = shlex.quote(path)
        command = f"mkdir -p $(dirname {quoted}) && cat >{quoted} && sync {quoted} && sync $(dirname {quoted})"
        self.machine.ssh(f"sudo -n sh -c {shlex.quote(command)}", stdin=text)

    # What it says of itself

    def status(self) -> dict[str, Any]:
        """``nestos status --json``."""
        document = json.loads(self.output("nestos status --json"))
        assert isinstance(document, dict)
        return document

    def version(self) -> str:
        """The version that runs, as the node's status tells it."""
        status = self.status()
        return str(status["slots"][status["booted"]]["deployment"]["version"])

    def boot_id(self) -> str:
        """The kernel's id of this boot."""
        return self.output("cat /proc/sys/kernel/random/boot_id")

    def failed_units(self) -> list[str]:
        """Units that systemd calls failed."""
        lines = self.output("systemctl --failed --no-legend --plain").splitlines()
        return [line.split()[0] for line in lines if line.strip()]

    # Waiting

    def start(self) -> None:
        """Starts the machine and waits for its login prompt, then for SSH; fails at once where a boot stops."""
        self.machine.start()
        self.machine.wait_for_console(LOGIN, timeout_seconds=BOOT_SECONDS, failing=STOPPED)
        self.wait_for_ssh()

    def wait_for_ssh(self, *, timeout_seconds: float = BOOT_SECONDS) -> None:
        """Until SSH lets us in."""
        self.machine.shell().wait(timeout_seconds=timeout_seconds)

    def wait_booted(self, *, unlike: str = "", timeout_seconds: float = BOOT_SECONDS) -> str:
        """Until a boot other than ``unlike`` answers, and its id."""
        answer = self._wait("another boot", lambda: _unlike(self.boot_id(), unlike), timeout_seconds=timeout_seconds)
        return str(answer)

    def wait_healthy(self, *, timeout_seconds: float = BOOT_SECONDS) -> dict[str, Any]:
        """Until this boot has completed and its slot is marked good; the status then."""
        answer = self._wait("boot-complete", lambda: _healthy(self.status()), timeout_seconds=timeout_seconds)
        assert isinstance(answer, dict)
        return answer

    def wait_back_on(self, version: str, *, unlike: str, timeout_seconds: float) -> dict[str, Any]:
        """Until a boot other than ``unlike`` completed on ``version``, whatever boots fail before; its status."""

        def there() -> dict[str, Any] | None:
            if self.boot_id() == unlike:
                return None
            status = _healthy(self.status())
            if status is None or status["slots"][status["booted"]]["deployment"]["version"] != version:
                return None
            return status

        answer = self._wait(f"a healthy boot of {version}", there, timeout_seconds=timeout_seconds)
        assert isinstance(answer, dict)
        return answer

    def reboot(self) -> None:
        """Restarts in order and waits until the next boot is healthy."""
        before = self.boot_id()
        self.run("systemctl reboot", accepted=(0, 255))
        self.wait_booted(unlike=before)
        self.wait_healthy()

    # Updating

    def follow(self, url: str, *, ref: str = "", tries: int = 2) -> None:
        """Points this boot's node commands at a repository, without a trace in /etc."""
        chosen = f"ref = {ref}\n" if ref else ""
        text = f"[update]\nurl = {url}\n{chosen}[boot]\ntries = {tries}\n"
        self.write("/run/nestos/nestos.conf.d/90-scenario.conf", text)

    def upgrade(self, words: str = "", *, accepted: tuple[int, ...] = (0,)) -> Completed:
        """``nestos upgrade``."""
        return self.run(f"nestos upgrade {words}".strip(), timeout_seconds=UPDATE_SECONDS, accepted=accepted)

    def _wait(self, what: str, ask: Callable[[], object], *, timeout_seconds: float) -> object:
        refusal = ""
        clock = self.machine.clock
        deadline = clock.monotonic() + timeout_seconds
        while clock.monotonic() < deadline:
            if not self.machine.is_running:
                raise StateError(f"the machine ended while {what} was expected")
            try:
                if (answer := ask()) is not None:
                    return answer
            except (CommandError, json.JSONDecodeError) as error:
                refusal = str(error)
            self.lab.sleep(_POLL_SECONDS)
        raise StateError(f"no {what} in {timeout_seconds:.0f} s {refusal}".rstrip())


def _unlike(boot_id: str, other: str) -> str | None:
    return boot_id if boot_id != other else None


def _healthy(status: dict[str, Any]) -> dict[str, Any] | None:
    return status if status["healthy"] and status["slots"][status["booted"]]["state"] == "good" else None


def spec(
    name: str,
    disk: Path,
    *,
    firmware: Firmware = Firmware.BIOS,
    memory_mib: int = 2048,
    architecture: str = platform.machine(),
) -> MachineSpec:
    """The machine that scenarios use unless they are about machines."""
    return MachineSpec(name=name, image=disk, firmware=firmware, memory_mib=memory_mib, architecture=architecture)


def first_boot(
    lab: Lab,
    *,
    image: str = "base",
    name: str = "node",
    config: Mapping[str, Any] = FRESH,
    cluster_bytes: int = disks.CLUSTER_BYTES,
) -> Node:
    """A node on a disk of its own that has completed its first boot."""
    disk = lab.disk(image, name=name, cluster_bytes=cluster_bytes)
    machine = spec(name, disk)
    if image.startswith("aarch64-"):
        machine = spec(name, disk, firmware=Firmware.UEFI, architecture="aarch64")
    node = Node(lab, lab.machine(machine, config=config))
    with lab.step("first boot"):
        node.start()
        node.wait_healthy()
    return node


def releases(lab: Lab, *, world: str = "") -> dict[str, dict[str, Any]]:
    """What is known of each test release, by the name of its manifest; ``world`` as in ``updating.begin``."""
    listing = json.loads(lab.images[f"{world}releases"].read_text())
    if "bad-releases" in lab.images:
        listing |= json.loads(lab.images["bad-releases"].read_text())
    return {name: json.loads(Path(path).read_text()) for name, path in listing.items()}
