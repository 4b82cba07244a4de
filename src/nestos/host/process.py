"""The only place that starts processes.

A child gets a clean environment, no standard input, and a time limit; its command line is logged so that it can
be pasted into a shell; secrets are blanked from the log and from errors. Tests put recording executables on PATH
or hand a fake ``Runner`` to the code under test.
"""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, TypeAlias, TypedDict, Unpack

from nestos.base.errors import CommandError

logger = logging.getLogger(__name__)

Started: TypeAlias = "subprocess.Popen[bytes]"
"""What ``start`` returns, for callers that may not import ``subprocess``."""

PIPE = subprocess.PIPE
"""For ``start``: a pipe to or from the process."""

_PASSED_ON = ("PATH", "HOME", "TERM", "TMPDIR", "http_proxy", "https_proxy", "no_proxy")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where a Debian system has its programs."""

_OUTPUT_KEPT = 4000  # characters of a failed command's output that its error carries


@dataclass(frozen=True, kw_only=True)
class Completed:
    """A finished process: its exit status and, where it was captured, what it printed (UTF-8, bad bytes replaced)."""

    returncode: int
    stdout: str
    stderr: str


class RunOptions(TypedDict, total=False):
    """The options of ``run``."""

    environment: Mapping[str, str] | None
    stdin: str | bytes | None
    cwd: Path | None
    timeout_seconds: float | None
    accepted: Sequence[int]
    secrets: Sequence[str]
    output: IO[bytes] | None


class Runner(Protocol):
    """What code that needs a process asks for; ``run`` below is the real one."""

    def __call__(self, command: Sequence[str | os.PathLike[str]], /, **options: Unpack[RunOptions]) -> Completed: ...


def environment_of(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment children get: a short list from ours, a fixed locale, and ``extra`` on top."""
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment.setdefault("PATH", SYSTEM_PATH)
    environment |= {"LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}
    return environment | dict(extra or {})


def printable(command: Sequence[str | os.PathLike[str]], *, secrets: Sequence[str] = ()) -> str:
    """The command as a line for a shell, with every secret blanked."""
    # Blanked before it is quoted: quoting changes a secret that holds a quote, and it would not be found.
    return shlex.join(redact(os.fspath(part), secrets=secrets) for part in command)


def redact(text: str, *, secrets: Sequence[str]) -> str:
    """``text`` with each of ``secrets`` replaced by stars."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return text


def run(
    command: Sequence[str | os.PathLike[str]],
    /,
    *,
    environment: Mapping[str, str] | None = None,
    stdin: str | bytes | None = None,
    cwd: Path | None = None,
    timeout_seconds: float | None = None,
    accepted: Sequence[int] = (0,),
    secrets: Sequence[str] = (),
    output: IO[bytes] | None = None,
) -> Completed:
    """Runs ``command`` to its end and returns what it printed.

    ``output``, an open file, receives both streams instead of capturing them. Raises ``CommandError`` when the
    program is missing, ends with a status not in ``accepted``, is killed, or takes longer than ``timeout_seconds``
    (none: unlimited).
    """
    line = printable(command, secrets=secrets)
    logger.info("%s", line)
    given = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        done = subprocess.run(
            [os.fspath(part) for part in command],
            env=environment_of(environment),
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            stdout=output if output is not None else subprocess.PIPE,
            stderr=subprocess.STDOUT if output is not None else subprocess.PIPE,
            cwd=cwd,
            timeout=timeout_seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise CommandError(f"{error.filename} was not found, needed for: {line}", returncode=127, output="") from error
    except OSError as error:
        raise CommandError(f"{error.strerror} from: {line}", returncode=126, output=str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"no end after {timeout_seconds} s: {line}", returncode=-1, output="") from error
    stdout = redact((done.stdout or b"").decode(errors="replace"), secrets=secrets)
    stderr = redact((done.stderr or b"").decode(errors="replace"), secrets=secrets)
    if done.returncode not in accepted:
        tail = (stderr.strip() or stdout.strip())[-_OUTPUT_KEPT:]
        how = f"killed by signal {-done.returncode}" if done.returncode < 0 else f"exit status {done.returncode}"
        raise CommandError(f"{how} from: {line}\n{tail}".rstrip(), returncode=done.returncode, output=tail)
    return Completed(returncode=done.returncode, stdout=stdout, stderr=stderr)


def start(
    command: Sequence[str | os.PathLike[str]],
    /,
    *,
    environment: Mapping[str, str] | None = None,
    stdin: IO[bytes] | int | None = None,
    output: IO[bytes] | int | None = None,
    errors: IO[bytes] | int | None = None,
    pass_fds: Sequence[int] = (),
) -> Started:
    """Starts a long-running process in a session of its own and returns it; the caller ends it.

    ``stdin``, ``output`` and ``errors`` are open files, or ``PIPE``; without ``errors`` they go where the output goes.
    Raises ``CommandError`` when the program is missing.
    """
    logger.info("%s &", printable(command))
    try:
        return subprocess.Popen(
            [os.fspath(part) for part in command],
            env=environment_of(environment),
            stdin=stdin if stdin is not None else subprocess.DEVNULL,
            stdout=output if output is not None else subprocess.DEVNULL,
            stderr=errors if errors is not None else subprocess.STDOUT,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
    except FileNotFoundError as error:
        line = printable(command)
        raise CommandError(f"{error.filename} was not found, needed for: {line}", returncode=127, output="") from error
