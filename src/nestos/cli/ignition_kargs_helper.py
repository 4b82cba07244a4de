"""``ignition-kargs-helper``: what Ignition's kargs stage calls to change the kernel arguments of a node.

The command line is that of the original's distributions: ``--should-exist ARG`` and ``--should-not-exist ARG``, each
as often as wanted. If something changed, the machine is started again at once: the arguments are for the first boot
too, and the stamp of the first boot is still there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from nestos.base.clock import Clock, SystemClock
from nestos.base.errors import InputError, NestosError, StateError
from nestos.host.process import Runner, run
from nestos.slots import kargs
from nestos.slots.bootstate import Slot

_SHOULD_EXIST, _SHOULD_NOT_EXIST = "--should-exist", "--should-not-exist"
_RESTART_SECONDS = 120
_DEVICE_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the program reads from and does to the machine."""

    command_line: Path = Path("/proc/cmdline")
    devices: Path = Path("/dev/disk/by-partuuid")
    place: Path = Path("/run/nestos-boot")
    runner: Runner = run
    clock: Clock = field(default_factory=SystemClock)


def parse(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """What should and what should not exist. Raises ``InputError``."""
    asked: dict[str, list[str]] = {_SHOULD_EXIST: [], _SHOULD_NOT_EXIST: []}
    rest = list(arguments)
    while rest:
        option, equals, value = rest.pop(0).partition("=")
        if option not in asked:
            raise InputError(f"unknown option {option}", hint=f"known are {', '.join(asked)}")
        if not equals:
            if not rest:
                raise InputError(f"{option} needs a kernel argument")
            value = rest.pop(0)
        asked[option].append(value)
    return asked[_SHOULD_EXIST], asked[_SHOULD_NOT_EXIST]


def program(
    arguments: Sequence[str] | None = None, *, machine: Surroundings | None = None, output: TextIO | None = None
) -> int:
    """Runs the program: 0 if nothing had to change, 1 if it failed, 2 for bad arguments; a change does not return."""
    surroundings, stream = machine or Surroundings(), output or sys.stderr
    try:
        should, should_not = parse(sys.argv[1:] if arguments is None else arguments)
        if not _update(surroundings, should, should_not):
            print("ignition-kargs-helper: the kernel arguments are as they should be", file=stream)
            return 0
        print("ignition-kargs-helper: the kernel arguments changed; starting again", file=stream, flush=True)
        _restart(surroundings)
    except (NestosError, OSError) as error:
        hint = f"; {error.hint}" if isinstance(error, NestosError) and error.hint else ""
        print(f"ignition-kargs-helper: {error}{hint}", file=stream)
        return error.exit_code if isinstance(error, NestosError) else 1
    return 1


def _update(machine: Surroundings, should: Sequence[str], should_not: Sequence[str]) -> bool:
    told = dict(word.partition("=")[::2] for word in machine.command_line.read_text().split())
    try:
        slot, device = Slot(told["nestos.slot"]), machine.devices / told["nestos.boot"]
    except (KeyError, ValueError) as error:
        hint = "the words nestos.slot and nestos.boot are missing on the kernel's command line"
        raise StateError("this system was not booted from a NestOS slot", hint=hint) from error
    machine.runner(["udevadm", "wait", f"--timeout={_DEVICE_SECONDS}", device])
    machine.place.mkdir(exist_ok=True)
    machine.runner(["mount", "--types=ext4", "--options=rw,nosuid,nodev,noexec", device, machine.place])
    try:
        return kargs.update(machine.place, slot, should_exist=should, should_not_exist=should_not)
    finally:
        # Unmounted, not only synced: GRUB does not replay a journal.
        machine.runner(["umount", machine.place])


def _restart(machine: Surroundings) -> None:
    """Has the machine started again, and waits for that: no later stage may begin. Raises ``NestosError``."""
    machine.runner(["systemctl", "--force", "reboot"])
    machine.clock.sleep(_RESTART_SECONDS)
    raise NestosError(f"the machine did not start again within {_RESTART_SECONDS} s")
