"""``ignition``: carries out one stage of first-boot provisioning; the command line is the original's."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from nestos.ignition.engine.machine import Machine
from nestos.ignition.engine.program import run


def program(arguments: Sequence[str] | None = None) -> int:
    """Runs ``ignition``: 0 done, 1 the stage failed, 2 bad arguments, 3 the state file is unusable."""
    given = sys.argv[1:] if arguments is None else arguments
    return run(given, machine=Machine(), stdout=sys.stdout, stderr=sys.stderr)
