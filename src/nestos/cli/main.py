"""``./nestos``: the host's command. Composes, runs, tests; each sub-command is a module of its own."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence

from nestos import __version__
from nestos.base import log
from nestos.base.errors import NestosError
from nestos.cli import (
    bench,
    butane,
    check,
    compose,
    ignition,
    ignition_validate,
    installer,
    locks,
    parity,
    release,
    run,
    serve,
    up,
    updates,
)

logger = logging.getLogger(__name__)

_PROGRAMS: dict[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "butane": (butane.program, "translate a Butane config to Ignition"),
    "ignition": (ignition.program, "carry out a stage of provisioning, or apply a config to a root"),
    "ignition-validate": (ignition_validate.program, "say what is wrong with an Ignition config"),
    "installer": (installer.program, "install to a disk, fetch images, list a stream's"),
    "parity": (parity.program, "print or check the parity table"),
}
"""Programs with command lines of their own: what stands behind their name is theirs."""

_EPILOG = """\
examples:
  ./nestos up                    compose, build, boot and provision a node; say how to get in
  ./nestos test                  linters, types, layers, unit tests, scenarios in virtual machines
  ./nestos compose MANIFEST      only compose; a new release for nodes to update to
  ./nestos run IMAGE --console   boot any image with any config
  ./nestos serve                 serve the repository to nodes

Each command has --help with more examples. On a node, see: nestos --help
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    described = argparse.ArgumentParser(
        prog="nestos",
        description="Compose, run and test NestOS.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    described.add_argument("--version", action="version", version=f"nestos {__version__}")
    described.add_argument(
        "-v", "--verbose", action="count", default=0, help="show the commands that are run; -vv: all"
    )
    commands = described.add_subparsers(metavar="COMMAND", required=True)
    for module in (up, check, bench, compose, run, serve, locks, release, updates):
        module.register(commands)
    for name, (_, text) in _PROGRAMS.items():
        commands.add_parser(name, help=text, add_help=False)
    return described


def program(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status: 0, 1 for a failure, 2 for wrong input, 130 after Ctrl-C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    named = next((place for place, word in enumerate(given) if not word.startswith("-")), None)
    if named is not None and given[named] in _PROGRAMS:
        return _PROGRAMS[given[named]][0](given[named + 1 :])
    options = parser().parse_args(given)
    log.setup(verbose=options.verbose)
    try:
        return int(options.handler(options))
    except NestosError as error:
        print(f"nestos: {error}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        if error.filename is None:
            raise  # without a file's name it helps nobody but us
        logger.debug("where it came from", exc_info=error)
        print(f"nestos: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("nestos: stopped; what was finished is kept, the same command goes on from there", file=sys.stderr)
        return 130
