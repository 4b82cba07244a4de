"""One run of the engine, from arguments to exit code."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from nestos import __version__
from nestos.base.errors import NestosError
from nestos.base.paths import Root
from nestos.ignition.engine import parts
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.log import Log
from nestos.ignition.engine.machine import Machine
from nestos.ignition.engine.settings import UsageError, parse
from nestos.ignition.spec.errors import ConfigError

NAME = f"Ignition {__version__} (NestOS)"
TELLING_PLATFORMS = frozenset({"packet"})
"""The platforms whose providers want to know how each stage ended; kept here so that no other is loaded for it."""

FAILURES = (NestosError, OSError, UnicodeError)
"""What a stage may fail with. Text that cannot be encoded is one: a host name longer than DNS has, a path."""

_FETCHING = ("fetch-offline", "fetch")
_UMASK = 0o022


@dataclass(frozen=True, kw_only=True)
class Streams:
    """Where the program writes to."""

    stdout: TextIO
    stderr: TextIO


def run(arguments: Sequence[str], *, machine: Machine, stdout: TextIO, stderr: TextIO) -> int:
    """Runs one stage. 0: done; 1: the stage failed; 2: bad arguments; 3: the state file is unusable."""
    try:
        settings = parse(arguments)
    except UsageError as error:
        print(str(error).rstrip("\n"), file=stderr)
        return 0 if error.kind == "help" else error.exit_code
    if settings.version:
        print(NAME, file=stdout)
        return 0
    os.umask(_UMASK)
    log = Log(stdout if settings.log_to_stdout else stderr, priorities="JOURNAL_STREAM" in machine.environment)
    log.info(NAME)
    log.info(f"Stage: {settings.stage}")
    job = Job(settings=settings, machine=machine, log=log, root=Root(settings.root))
    streams = Streams(stdout=stdout, stderr=stderr)
    if settings.dry_run:
        return _plan(job, streams)
    return _run_stage(job, streams)


def _run_stage(job: Job, streams: Streams) -> int:
    settings, log = job.settings, job.log
    try:
        job.read_state()
        with log.within(settings.stage):
            parts.load(parts.STAGES[settings.stage]).run(job)
    except FAILURES as error:
        code = fail(error, log=log, streams=streams, doubled=settings.log_to_stdout)
        _disclose(job, streams.stderr)
        if getattr(error, "kind", "") not in ("network", "unreachable"):  # else nobody would hear it
            _tell(job, error=str(error))
        return code
    _tell(job, error="")
    log.info("Ignition finished successfully")
    return 0


def _plan(job: Job, streams: Streams) -> int:
    """Prints what the stage would do. The stages that fetch only do what they say: there is nothing more to tell."""
    try:
        if job.settings.stage in _FETCHING:
            sentences = [f"the config is got and left at {job.settings.config_cache}"]
        else:
            sentences = parts.load(parts.STAGES[job.settings.stage]).plan(job)
    except FAILURES as error:
        return fail(error, log=job.log, streams=streams, doubled=job.settings.log_to_stdout)
    show_plan(sentences, streams.stdout)
    return 0


def show_plan(sentences: Sequence[str], stdout: TextIO) -> None:
    """Prints a plan, a line for each change."""
    for sentence in sentences or ["nothing to do"]:
        print(sentence, file=stdout)


def fail(error: Exception, *, log: Log, streams: Streams, doubled: bool = False) -> int:
    """Says why on the log, and on the console too if the log goes elsewhere; returns the exit code."""
    for finding in error.report if isinstance(error, ConfigError) else ():
        print(str(finding), file=streams.stderr)
        if finding.hint:
            print(f"hint: {finding.hint}", file=streams.stderr)
    hint = error.hint if isinstance(error, NestosError) else ""
    for target in (log, Log(streams.stderr)) if doubled else (log,):
        target.critical(f"Ignition failed: {error}")
        if hint:
            target.critical(hint)
    return 3 if getattr(error, "exit_code", 1) == 3 else 1


def _disclose(job: Job, stderr: TextIO) -> None:
    """Prints the whole config, without its secrets, if the stage got so far as to have one."""
    if job.settings.stage in _FETCHING:
        return
    try:
        config = job.read_config()
    except FAILURES:
        return
    print(f"{job.settings.stage} failed", file=stderr)
    print(f"Full config:\n{json.dumps(parts.load(parts.FAILURE).masked(config), indent=2)}", file=stderr)


def _tell(job: Job, *, error: str) -> None:
    """Tells those who want to know how the stage ended: the platform, and a server that the image names."""
    if job.settings.platform in TELLING_PLATFORMS:
        try:
            provider = parts.load(parts.PROVIDERS[job.settings.platform])
            provider.report_status(job, stage=job.settings.stage, error=error)
        except FAILURES as problem:
            job.log.warning(f"POST Status error: {problem}")
    if error or job.settings.stage == "files":
        _report(job, error=error)


def _report(job: Job, *, error: str) -> None:
    """Sends the outcome to where the image or the kernel command line says, which few do: see ``outcome``."""
    machine = job.machine
    try:
        is_named = "ignition.report.url=" in machine.command_line.read_text(errors="replace")
    except OSError:
        is_named = False
    if is_named or any((folder / "report.url").is_file() for folder in machine.config_folders):
        parts.load(parts.OUTCOME).tell(job, error=error)
