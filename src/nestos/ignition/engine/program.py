"""One run of the engine, from arguments to exit code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TextIO

from nestos import __version__
from nestos.base.errors import NestosError
from nestos.base.paths import Root
from nestos.ignition.engine import parts
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.log import Log
from nestos.ignition.engine.machine import Machine
from nestos.ignition.engine.settings import Settings, UsageError, parse
from nestos.ignition.spec.errors import ConfigError

NAME = f"Ignition {__version__} (NestOS)"
_UMASK = 0o022


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
    return _run_stage(settings, machine=machine, log=log, stderr=stderr)


def _run_stage(settings: Settings, *, machine: Machine, log: Log, stderr: TextIO) -> int:
    log.info(NAME)
    log.info(f"Stage: {settings.stage}")
    job = Job(settings=settings, machine=machine, log=log, root=Root(settings.root))
    try:
        with log.within(settings.stage):
            parts.load(parts.STAGES[settings.stage]).run(job)
    except ConfigError as error:
        for finding in error.report:
            print(str(finding), file=stderr)
        return _failed(error, log=log, stderr=stderr, exit_code=1, doubled=settings.log_to_stdout)
    except NestosError as error:
        code = 3 if error.exit_code == 3 else 1
        return _failed(error, log=log, stderr=stderr, exit_code=code, doubled=settings.log_to_stdout)
    except OSError as error:
        return _failed(error, log=log, stderr=stderr, exit_code=1, doubled=settings.log_to_stdout)
    log.info("Ignition finished successfully")
    return 0


def _failed(error: Exception, *, log: Log, stderr: TextIO, exit_code: int, doubled: bool) -> int:
    """Says why on the log, and on the console too if the log goes elsewhere."""
    hint = error.hint if isinstance(error, NestosError) else ""
    for target in (log, Log(stderr)) if doubled else (log,):
        target.critical(f"Ignition failed: {error}")
        if hint:
            target.critical(hint)
    return exit_code
