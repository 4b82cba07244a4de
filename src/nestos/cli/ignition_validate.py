"""``ignition-validate``: says what is wrong with an Ignition config; the command line is the original's.

The report on standard output is the original's, line for line. What we can say beyond it goes to standard error.
"""

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

A config of "-" is read from standard input. The report goes to standard output, hints to standard error.

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
    if given[:1] == ["--"]:
        del given[0]
    elif given and given[0].startswith("-") and given[0] != "-":
        print(f"flag provided but not defined: -{given[0].lstrip('-').partition('=')[0]}", file=sys.stderr)
        print(_USAGE, end="", file=sys.stderr)
        return 2
    if len(given) != 1:
        print(_USAGE, end="", file=sys.stderr)
        return 1
    try:
        data = sys.stdin.buffer.read() if given[0] == "-" else Path(given[0]).read_bytes()
    except OSError as error:
        print(f"couldn't read config: open {given[0]}: {(error.strerror or '').lower()}", file=sys.stderr)
        return 1
    return _report(data)


def _report(data: bytes) -> int:
    parsed = parse(data)
    if parsed.problem:
        print(f"couldn't parse config: {parsed.problem}", file=sys.stderr)
    else:
        for finding in parsed.report:
            print(finding)
    for finding in parsed.report:
        if finding.hint:
            print(f"hint: {finding.hint}", file=sys.stderr)
    return 1 if parsed.report.is_fatal else 0
