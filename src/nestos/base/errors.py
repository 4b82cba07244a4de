"""The one exception root of the project.

Libraries raise these; only ``nestos.cli`` turns them into a message and an exit code. Errors of the standard
library and of child processes are mapped where they enter (``raise X(...) from error``), so that above the rim
a caller meets only this hierarchy.
"""

from __future__ import annotations


class NestosError(Exception):
    """An expected failure: what happened, and what the operator can do about it.

    ``kind`` is a stable word for programs (tests, JSON output); ``str(error)`` is one sentence for people;
    ``hint`` is the next step, or the empty string where there is none.
    """

    kind = "error"
    exit_code = 1

    def __init__(self, sentence: str, *, hint: str = "", kind: str = "") -> None:
        super().__init__(sentence)
        self.hint = hint
        if kind:
            self.kind = kind


class InputError(NestosError):
    """A file, argument or config written by the user is wrong."""

    kind = "input"
    exit_code = 2


class CommandError(NestosError):
    """A child process failed. ``output`` holds the end of what it printed, already redacted."""

    kind = "command"

    def __init__(self, sentence: str, *, returncode: int, output: str, hint: str = "") -> None:
        super().__init__(sentence, hint=hint)
        self.returncode = returncode
        self.output = output


class VerificationError(NestosError):
    """A signature, checksum or root hash does not match: the thing named must not be used."""

    kind = "verification"


class SpaceError(NestosError):
    """There is not enough room. Raised before anything is fetched or written."""

    kind = "space"


class BusyError(NestosError):
    """Another transaction holds the lock; the sentence names its holder."""

    kind = "busy"


class NetworkError(NestosError):
    """A server could not be reached or broke off."""

    kind = "network"


class StateError(NestosError):
    """The system is not in a state in which this can be done."""

    kind = "state"


class InvariantError(NestosError):
    """A rule of the design would be broken. Always a bug of ours, never of the user."""

    kind = "bug"
    exit_code = 70
