"""``ignition-rmcfg``: deletes the config from the platform once it was carried out, where a platform can do that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nestos.base.paths import Root
from nestos.ignition.engine import parts
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.log import Log
from nestos.ignition.engine.machine import Machine
from nestos.ignition.engine.options import Option, UsageError, read
from nestos.ignition.engine.program import FAILURES, NAME, Streams
from nestos.ignition.engine.settings import Settings

_OPTIONS = {
    "log-to-stdout": Option(help="log to stdout instead of the system log", is_flag=True),
    "platform": Option(help=f"current platform. [{' '.join(sorted(parts.PROVIDERS))}]"),
    "version": Option(help="print the version and exit", is_flag=True),
}
_USAGE = "Usage: ignition-rmcfg [options]"


def run(arguments: Sequence[str], *, machine: Machine, streams: Streams) -> int:
    """Runs ``ignition-rmcfg``: 0 done, or nothing to do on this platform; 1 failed; 2 bad options."""
    try:
        given, words = read(arguments, _OPTIONS, usage=_USAGE)
    except UsageError as error:
        print(error, file=streams.stderr)
        return error.exit_code
    if "version" in given:
        print(NAME, file=streams.stdout)
        return 0
    platform = given.get("platform", "")
    if words or not platform or platform not in parts.PROVIDERS:
        unknown = f'invalid value "{platform}" for flag --platform' if platform else "'--platform' must be provided"
        print(UsageError.text(_USAGE, _OPTIONS) if words else unknown, file=streams.stderr)
        return 2
    to_stdout = "log-to-stdout" in given
    log = Log(
        streams.stdout if to_stdout else streams.stderr,
        priorities="JOURNAL_STREAM" in machine.environment,
    )
    log.info(NAME)
    settings = Settings(platform=platform, stage="")
    delete = getattr(parts.load(parts.PROVIDERS[platform]), "delete_config", None)
    try:
        if delete is not None:
            delete(Job(settings=settings, machine=machine, log=log, root=Root(Path("/"))))
    except FAILURES as error:
        log.critical(f"couldn't delete config: {error}")
        return 1
    log.info("Successfully deleted config" if delete else f"on {platform} there is nothing to delete")
    return 0
