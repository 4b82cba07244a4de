"""``ignition-validate``: says what is wrong with an Ignition config; the command line is the original's."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from nestos import __version__
from nestos.ignition.spec.parse import parse

_USAGE = """\
Usage:
  ignition-validate [flags] config.ign

  -version
    \tprint the version of ignition-validate

A config of "-" is read from standard input. The report goes to standard output.

Examples:
  ignition-validate node.ign
  butane node.bu | ignition-validate -
"""


def program(arguments: Sequence[str] | None = None) -> int:
    """Runs ``ignition-validate``: 0 if the config can be used, 1 if not or if it cannot be read."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in ("-version", "--version"):
        print(f"Ignition {__version__} (NestOS)")
        return 0
    if given and given[0] in ("-h", "-help", "--help"):
        print(_USAGE, end="", file=sys.stderr)
        return 0
    if len(given) != 1:
        print(_USAGE, end="", file=sys.stderr)
        return 1
    try:
        data = sys.stdin.buffer.read() if given[0] == "-" else Path(given[0]).read_bytes()
    except OSError as error:
        print(f"couldn't read config: {given[0]}: {error.strerror}", file=sys.stderr)
        return 1
    return _report(data)


def _report(data: bytes) -> int:
    parsed = parse(data)
    if parsed.problem:
        print(f"couldn't parse config: {parsed.problem}", file=sys.stderr)
        return 1
    for finding in parsed.report:
        print(finding)
    return 1 if parsed.report.is_fatal else 0
