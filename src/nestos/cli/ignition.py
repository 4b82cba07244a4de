"""``ignition``: carries out one stage of first-boot provisioning; the command line is the original's.

Under the names ``ignition-apply`` and ``ignition-rmcfg``, or with ``apply`` or ``rmcfg`` as the first word, it is
these programs. They are loaded by name: a first boot needs neither.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import PurePath

from nestos.ignition.engine import parts
from nestos.ignition.engine.machine import Machine
from nestos.ignition.engine.program import Streams, run

_OTHERS = {"apply": "apply", "rmcfg": "removal"}


def program(arguments: Sequence[str] | None = None, *, name: str | None = None) -> int:
    """Runs ``ignition``: 0 done, 1 the stage failed, 2 bad arguments, 3 the state file is unusable."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    called = PurePath(sys.argv[0]).name if name is None else name
    other = called.removeprefix("ignition-")
    if other not in _OTHERS and given[:1] and given[0] in _OTHERS:
        other = given.pop(0)
    if other not in _OTHERS:
        return run(given, machine=Machine(), stdout=sys.stdout, stderr=sys.stderr)
    streams = Streams(stdout=sys.stdout, stderr=sys.stderr)
    code: int = parts.load(_OTHERS[other]).run(given, machine=Machine(), streams=streams)
    return code


def apply_program() -> int:
    """Runs ``ignition-apply``."""
    return program(name="ignition-apply")


def removal_program() -> int:
    """Runs ``ignition-rmcfg``."""
    return program(name="ignition-rmcfg")
