"""The node as the commands see it: its disk, its running slot, its records, its settings."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from nestos.base.clock import Clock, SystemClock
from nestos.base.errors import StateError
from nestos.base.paths import Root
from nestos.deploy.config import Settings
from nestos.deploy.records import Event, Record, Records
from nestos.deploy.release import rfc3339
from nestos.host import process
from nestos.host.process import Runner
from nestos.slots import install
from nestos.slots.bootstate import BootState, Slot, SlotState
from nestos.slots.disk import BootFilesystem, Disk, EnvironmentBlock, EtcStore
from nestos.wire import deployment as wire
from nestos.wire.deployment import Deployment

LOCK = "/run/nestos/transaction.lock"
STATE = "/var/lib/nestos"


class Machine(Protocol):
    """The node's own disk, opened only while it is needed; ``nestos.slots.hardware.Node`` is the real one."""

    @property
    def booted(self) -> Slot:
        """The running slot."""

    def records(self) -> AbstractContextManager[tuple[BootFilesystem, EnvironmentBlock]]:
        """The boot partition, for reading."""

    def environment(self) -> AbstractContextManager[EnvironmentBlock]:
        """The environment block, for a change of state."""

    def files(self) -> AbstractContextManager[BootFilesystem]:
        """The boot partition, for a change of a record."""

    def disk(self, etc: EtcStore) -> AbstractContextManager[Disk]:
        """The disk, for writing the passive slot."""


@dataclass(frozen=True, kw_only=True)
class View:
    """What the boot partition says, read at once.

    ``state`` is none where the environment block is damaged, and ``problem`` says so. ``boot_files`` are the bytes of
    each slot's kernel and initramfs together, ``boot_free`` the free bytes of the boot partition. ``replaced``: what
    was staged in a slot whose writing was interrupted.
    """

    booted: Slot
    state: BootState | None
    problem: str
    deployments: Mapping[Slot, Deployment | None]
    boot_files: Mapping[Slot, int]
    boot_free: int
    replaced: Deployment | None = None

    def require_state(self) -> BootState:
        """The boot state. Raises ``StateError`` where it is damaged."""
        if self.state is None:
            raise StateError(self.problem, kind="environment")
        return self.state

    @property
    def running(self) -> Deployment | None:
        """What runs, or none where its record is missing."""
        return self.deployments[self.booted]

    @property
    def follows(self) -> Deployment:
        """What the next transaction goes on from: what is staged, locked or not, else what boots next.

        A transaction that was interrupted while it wrote over what was staged has left no trace: it goes on from that.
        Raises ``StateError`` where the record of what runs is missing.
        """
        waiting = (self.state.staged or self.state.pending) if self.state else None
        held = self.deployments[waiting] if waiting else None
        return held or self.replaced or self.require_running()

    def require_running(self) -> Deployment:
        """What runs. Raises ``StateError`` where its record is missing."""
        if self.running is None:
            raise StateError(f"the boot partition has no usable record of the running slot: {self.booted.boot_folder}")
        return self.running


@dataclass(frozen=True, kw_only=True)
class Node:
    """Everything that a command works on. ``boot_id`` is the kernel's name of this boot."""

    root: Root
    machine: Machine
    boot_id: str
    settings: Settings = field(default_factory=Settings)
    runner: Runner = process.run
    clock: Clock = field(default_factory=SystemClock)

    @property
    def booted(self) -> Slot:
        """The running slot."""
        return self.machine.booted

    @property
    def staged_defaults(self) -> Path:
        """The folder with the ``/usr/etc`` of what is staged: what its ``/etc`` is prepared with until it boots."""
        return self.folder / "staged-etc"

    def defaults_of(self, staged: Deployment) -> Path:
        """The ``/usr/etc`` of this very tree, so that another's is never taken for it, wherever power was cut."""
        return self.staged_defaults / staged.checksum

    @property
    def replaced(self) -> Path:
        """The record of what was staged in a slot, while another transaction writes over it."""
        return self.folder / "replaced.json"

    @property
    def folder(self) -> Path:
        """Where the node keeps its state."""
        return self.root.join(STATE)

    @property
    def lock(self) -> Path:
        """The lock of transactions."""
        return self.root.join(LOCK)

    @property
    def records(self) -> Records:
        """The node's memory."""
        return Records(self.folder)

    def look(self) -> View:
        """Reads the boot partition once."""
        problem, state = "", None
        with self.machine.records() as (boot, environment):
            try:
                state = replace(install.read_state(environment), booted=self.booted)
            except StateError as error:
                problem = f"{error}; {error.hint}" if error.hint else str(error)
            return View(
                booted=self.booted,
                state=state,
                problem=problem,
                deployments={slot: install.read_deployment(boot, slot) for slot in Slot},
                boot_files={
                    slot: sum(boot.size(f"{slot.boot_folder}/{name}") for name in (install.KERNEL, install.INITRAMFS))
                    for slot in Slot
                },
                boot_free=boot.free_bytes(),
                replaced=self._read_replaced(state),
            )

    def _read_replaced(self, state: BootState | None) -> Deployment | None:
        if state is None or state.of(self.booted.other).state is not SlotState.WRITING:
            return None
        try:
            return wire.parse(self.replaced.read_text(), source=str(self.replaced))
        except (OSError, ValueError, StateError):
            return None

    def now(self) -> str:
        """The wall clock, RFC 3339."""
        return rfc3339(self.clock.now())

    def note(self, event: Event, slot: Slot, deployment: Deployment | None, *, detail: str = "") -> None:
        """Adds to the history."""
        self.records.remember(
            Record(
                time=self.now(),
                event=event,
                slot=str(slot),
                version=deployment.version if deployment else "",
                commit=deployment.commit if deployment else "",
                detail=detail,
            )
        )
