"""``ignition-apply``: writes what a config says about files and units into a root that is there already.

For containers and image builds: no platform, no stages, no accounts, no disks. It is refused on a running host, which
is to be provisioned anew instead, unless another root than ``/`` is given.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from nestos.base.paths import Root
from nestos.ignition.engine.acquire import rendered, resources_of
from nestos.ignition.engine.files.nodes import Writer
from nestos.ignition.engine.files.place import Places
from nestos.ignition.engine.files.plan import sentences
from nestos.ignition.engine.job import Job, State, UnsupportedError
from nestos.ignition.engine.log import Log
from nestos.ignition.engine.machine import Machine
from nestos.ignition.engine.options import Option, UsageError, read
from nestos.ignition.engine.program import FAILURES, NAME, Streams, fail, show_plan
from nestos.ignition.engine.settings import Settings
from nestos.ignition.engine.stages.files import refuse_obstacles, write
from nestos.ignition.engine.transport import NeedsNetworkError, Transport, needs_network
from nestos.ignition.spec.errors import ConfigError
from nestos.ignition.spec.parse import parse

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Config

_OPTIONS = {
    "dry-run": Option(help="print what would be done, and write nothing", is_flag=True),
    "ignore-unsupported": Option(help="ignore unsupported config sections", is_flag=True),
    "offline": Option(help="error out if config references remote resources", is_flag=True),
    "root": Option(help="root of the filesystem", default="/"),
    "version": Option(help="print the version of ignition-apply", is_flag=True),
}
_USAGE = "Usage: ignition-apply [options] config.ign"

_UNSUPPORTED: tuple[tuple[str, Callable[[Config], object]], ...] = (
    ("cannot apply kargs modifications live", lambda config: any(config.get("kernelArguments", {}).values())),
    (
        "cannot apply disk modifications live",
        lambda config: any(config.get("storage", {}).get(name) for name in ("disks", "raid", "luks", "filesystems")),
    ),
    ("cannot apply passwd live", lambda config: any(config.get("passwd", {}).values())),
)
"""What cannot be done to a root that is there, and how to see that a config asks for it."""


@dataclass(frozen=True, kw_only=True)
class _LiveJob(Job):
    """A job whose config was given, and that leaves no state."""

    config: Config

    def read_config(self) -> Config:
        return self.config

    def read_state(self) -> State:
        return {}


def run(arguments: Sequence[str], *, machine: Machine, streams: Streams, stdin: TextIO = sys.stdin) -> int:
    """Runs ``ignition-apply``: 0 done, 1 failed or no config given, 2 bad options."""
    try:
        given, words = read(arguments, _OPTIONS, usage=_USAGE)
    except UsageError as error:
        print(error, file=streams.stderr)
        return error.exit_code
    if "version" in given:
        print(NAME, file=streams.stdout)
        return 0
    if len(words) != 1:
        print(UsageError.text(_USAGE, _OPTIONS), file=streams.stderr)
        return 1
    log = Log(streams.stderr if "dry-run" in given else streams.stdout)
    log.info(NAME)
    try:
        data = stdin.buffer.read() if words[0] == "-" else Path(words[0]).read_bytes()
        _apply(data, given, machine=machine, log=log, stdout=streams.stdout)
    except FAILURES as error:
        return fail(error, log=log, streams=streams)
    return 0


def _apply(data: bytes, given: dict[str, str], *, machine: Machine, log: Log, stdout: TextIO) -> None:
    parsed = parse(data)
    if parsed.config is None:
        raise ConfigError(f"couldn't parse config: {parsed.problem or 'config is not valid'}", report=parsed.report)
    for finding in parsed.report:
        log.warning(str(finding))
    root = Path(given.get("root", "/")).absolute()
    if root == Path("/") and not _is_container(machine):
        raise UnsupportedError(
            "this tool is not designed to run on a host system; reprovision the machine instead",
            hint="give --root to write into another root",
        )
    settings = Settings(platform="", stage="files", root=root)
    bare = Job(settings=settings, machine=machine, log=log, root=Root(root))
    transport = Transport.of(bare, offline="offline" in given)
    config = rendered(bare, parsed.config, transport=transport)
    _check(config, ignore="ignore-unsupported" in given, offline="offline" in given)
    job = _LiveJob(settings=settings, machine=machine, log=log, root=bare.root, config=config)
    places = Places(root=job.root, owners=machine.owners)
    writer = Writer(job=job, places=places, transport=transport.configured(config))
    supported: Config = {**config, "passwd": {}}
    if "luks" in supported.get("storage", {}):
        supported["storage"] = {**supported["storage"], "luks": []}
    refuse_obstacles(job, supported, writer)
    if "dry-run" in given:
        show_plan(sentences(job, supported, writer), stdout)
    else:
        write(job, config, places=places, writer=writer)


def _check(config: Config, *, ignore: bool, offline: bool) -> None:
    """Raises ``UnsupportedError`` or ``NeedsNetworkError`` before anything is written."""
    problems = [sentence for sentence, asks in _UNSUPPORTED if asks(config)]
    if problems and not ignore:
        raise UnsupportedError("failed to apply: " + "; ".join(problems), hint="--ignore-unsupported leaves it out")
    remote = [url for url in resources_of(config) if needs_network(url)]
    if offline and remote:
        raise NeedsNetworkError(f"failed to apply: resource requires networking ({len(remote)} of them)")


def _is_container(machine: Machine) -> bool:
    """True if a container tool says so: by the environment, or by a file of its own."""
    files = ("/run/.containerenv", "/.dockerenv")
    return bool(machine.environment.get("container")) or any(machine.at(name).exists() for name in files)
