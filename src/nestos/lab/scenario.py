"""System scenarios: plain functions that put machines through something, and what they are given to do it with.

A scenario is declared by the decorator ``scenario`` and gets a ``Lab``. It fails by raising: ``check`` and ``assert``
for what it expects, any error of the product's own otherwise. ``runner`` chooses scenarios and runs them.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol, Unpack

from nestos.base.errors import InputError, NestosError
from nestos.base.report import nearest
from nestos.compose import foreign
from nestos.host import process
from nestos.host.process import Completed, RunOptions
from nestos.host.toolbox import Toolbox
from nestos.lab import disks, provision
from nestos.lab.emulator import Emulator
from nestos.lab.machine import Machine
from nestos.lab.spec import Accelerator, MachineSpec
from nestos.lab.ssh import Identity
from nestos.lab.webserver import WebServer

DEFAULT = "default"
"""The tag of scenarios that run without being asked for."""

DISK_SIZE = "8G"
"""Of a scenario's disk: a node's, not an image's, which has next to no room in /var. Holes cost nothing."""

ALL = "all"
"""The word that selects every scenario."""


class ScenarioError(NestosError):
    """The system did not do what the scenario expects."""

    kind = "scenario"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A scenario as declared. ``minutes`` is how long it takes on two cores without KVM."""

    name: str
    function: Callable[[Lab], None]
    minutes: float
    needs: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()

    @property
    def summary(self) -> str:
        """The first line of its docstring."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]


def scenario(
    name: str, *, minutes: float, needs: Sequence[str] = (), tags: Sequence[str] = (DEFAULT,)
) -> Callable[[Callable[[Lab], None]], Scenario]:
    """Declares a function as the scenario ``name``, which needs the images ``needs``."""

    def declare(function: Callable[[Lab], None]) -> Scenario:
        return Scenario(name=name, function=function, minutes=minutes, needs=tuple(needs), tags=frozenset(tags))

    return declare


class Images(Protocol):
    """Where images come from. Called with the names in ``needs`` of a scenario, by one thread at a time."""

    def get(self, name: str) -> Path:
        """The file or folder of the image ``name``, built if it is missing. Raises ``InputError`` if unknown."""

    def emulator(self, architecture: str) -> Emulator:
        """What runs machines of another architecture than this machine's."""


@dataclass
class Step:
    """A step of a scenario that began, and how long it took so far."""

    name: str
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """What all scenarios of a run share."""

    tools: Toolbox
    accelerator: Accelerator
    identity: Identity
    images: Images


@dataclass
class Lab:
    """One scenario's bench: its folder, its machines, its servers. All of it ends with the scenario."""

    name: str
    folder: Path
    equipment: Equipment
    say: Callable[[str], None]
    images: Mapping[str, Path] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    machines: list[Machine] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    """What the scenario measured, for the results file."""
    _stack: ExitStack = field(default_factory=ExitStack)
    _interrupted: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announces a step and, when it ends, how long it took."""
        step = Step(name)
        self.steps.append(step)
        self.say(name)
        began = time.monotonic()
        try:
            yield
        finally:
            step.seconds = round(time.monotonic() - began, 1)
        self.say(f"{name}: {step.seconds:.1f}s")

    def disk(
        self, image: str, *, name: str = "", size: str = DISK_SIZE, cluster_bytes: int = disks.CLUSTER_BYTES
    ) -> Path:
        """A disk of this scenario's own that starts as the image ``image``; empty ``size``: as large as the image."""
        path = self.folder / f"{name or image}.qcow2"
        disks.create_overlay(
            path, backing=self.images[image], tools=self.equipment.tools, size=size, cluster_bytes=cluster_bytes
        )
        return path

    def empty_disk(self, name: str, *, size: str) -> Path:
        """An empty disk of this scenario's own."""
        path = self.folder / f"{name}.qcow2"
        disks.create_empty(path, size=size, tools=self.equipment.tools)
        return path

    def copy_of(self, disk: Path, *, name: str) -> Path:
        """A disk that starts as ``disk`` is now; ``disk`` must not be written while the copy is in use."""
        path = self.folder / f"{name}.qcow2"
        path.unlink(missing_ok=True)
        disks.create_overlay(path, backing=disk, tools=self.equipment.tools)
        return path

    def machine(self, spec: MachineSpec, *, config: Mapping[str, Any] | str | None = None, key: bool = True) -> Machine:
        """A machine, not started yet, that ends with the scenario; its logs lie in a folder named like it.

        ``config`` is its Ignition config; the lab's key is added unless told otherwise. Text goes in unchanged.
        """
        folder = self.folder / spec.name
        equipment = self.equipment
        tools, accelerator = equipment.tools, equipment.accelerator
        if foreign.is_foreign(spec.architecture):
            found = equipment.images.emulator(spec.architecture)
            tools, accelerator = found.tools, found.accelerator
        if self.is_interrupted:
            raise ScenarioError("the scenario was interrupted")
        if config is not None:
            given = dict(config) if not isinstance(config, str) else config
            if key and not isinstance(given, str):
                given = provision.with_key(given, key=equipment.identity.public)
            spec = replace(spec, fw_cfg=(*spec.fw_cfg, provision.fw_cfg(given, folder=folder)))
        machine = Machine(
            spec,
            tools=tools,
            folder=folder,
            accelerator=accelerator,
            identity=equipment.identity,
            runner=Transcript(folder / "ssh.log"),
        )
        self.machines.append(machine)
        self._stack.callback(machine.close)
        return machine

    def server(self, folder: Path) -> WebServer:
        """A web server for ``folder`` that guests reach, until the scenario ends."""
        return self._stack.enter_context(WebServer(folder))

    def check(self, condition: object, sentence: str) -> None:
        """Fails the scenario with ``sentence`` unless ``condition`` holds."""
        if not condition:
            raise ScenarioError(sentence)

    def sleep(self, seconds: float) -> None:
        """Waits; raises ``ScenarioError`` when the scenario is being ended meanwhile."""
        if self._interrupted.wait(seconds):
            raise ScenarioError("the scenario was interrupted")

    @property
    def is_interrupted(self) -> bool:
        """True once the scenario was told to end before it was done."""
        return self._interrupted.is_set()

    def interrupt(self) -> None:
        """Makes the scenario fail soon, from another thread: its machines die, its waits end."""
        self._interrupted.set()
        for machine in self.machines:
            machine.cut_off()

    def close(self) -> None:
        """Ends every machine and server; the scenario itself has ended before."""
        self._stack.close()


class Transcript:
    """A ``Runner`` that writes each command and what it printed to a log."""

    def __init__(self, log: Path, *, runner: process.Runner = process.run) -> None:
        self.log = log
        self._runner = runner

    def __call__(self, command: Sequence[str | os.PathLike[str]], /, **options: Unpack[RunOptions]) -> Completed:
        """As ``process.run``."""
        self._write(f"$ {process.redact(str(command[-1]), secrets=options.get('secrets', ()))}\n")
        try:
            done = self._runner(command, **options)
        except NestosError as error:
            self._write(f"{error}\n")
            raise
        self._write(f"{done.stdout}{done.stderr}[{done.returncode}]\n")
        return done

    def _write(self, text: str) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a", encoding="utf-8") as file:
            file.write(text)


def collect(package: str) -> list[Scenario]:
    """Every scenario declared in the modules of ``package``, by name. Raises ``InputError`` for a name used twice."""
    found: dict[str, Scenario] = {}
    root = importlib.import_module(package)
    for module in pkgutil.iter_modules(root.__path__, prefix=f"{package}."):
        for value in vars(importlib.import_module(module.name)).values():
            if not isinstance(value, Scenario):
                continue
            if found.setdefault(value.name, value) is not value:
                raise InputError(f"two scenarios are called {value.name}")
    return [found[name] for name in sorted(found)]


def select(scenarios: Iterable[Scenario], words: Sequence[str]) -> list[Scenario]:
    """The scenarios that ``words`` ask for: names, patterns of names, tags, or ``all``; no word means ``default``.

    Raises ``InputError`` for a word that selects nothing.
    """
    known = list(scenarios)
    chosen: set[str] = set()
    for word in words or (DEFAULT,):
        matching = {s.name for s in known if word == ALL or word in s.tags or fnmatchcase(s.name, word)}
        if not matching:
            names = [s.name for s in known]
            raise InputError(f'no scenario is called or tagged "{word}"{nearest(word, names)}')
        chosen |= matching
    return [item for item in known if item.name in chosen]
