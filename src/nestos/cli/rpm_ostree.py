"""``rpm-ostree`` on a node: a compatible front of ``nestos``, for scripts, Ansible's modules and habits.

The same commands under the same names, with rpm-ostree's answers where programs read them: ``status`` and its JSON,
the exit status 77 only where it is asked for, ``deploy`` of a revision. What it has and a node has not (a daemon,
containers as a base) is not there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import NoReturn, Unpack

from nestos.base.errors import InputError
from nestos.base.paths import Root
from nestos.cli import node, node_finalize, node_kernel, node_live, node_packages, node_update
from nestos.cli.node import Given
from nestos.cli.node_answers import RPM_OSTREE, command
from nestos.cli.node_status import history
from nestos.deploy import rpm_ostree, snapshot, status
from nestos.deploy.node import Node

VERSION = "2026.2"
"""The release of rpm-ostree whose command line this follows."""

_EPILOG = """\
This is nestos under the name of rpm-ostree; nestos --help has the same commands and a few more.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    described = argparse.ArgumentParser(
        prog="rpm-ostree", description="Manage the node's release and what is layered on it.", epilog=_EPILOG
    )
    described.add_argument("--version", action="version", version=f"rpm-ostree {VERSION} (nestos)")
    described.add_argument("--debug", action="count", default=0, help=argparse.SUPPRESS)
    subparsers = described.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_status(subparsers)
    node_update.register(subparsers)
    node_packages.register(subparsers)
    node_kernel.register(subparsers)
    node_finalize.register(subparsers)
    node_live.register(subparsers)
    experimental = command(subparsers, "ex", help="experimental: history", examples="  rpm-ostree ex history")
    kinds = experimental.add_subparsers(dest="kind", required=True, metavar="KIND")
    past = kinds.add_parser("history", help="what happened to the slots")
    past.add_argument("--json", action="store_true")
    past.set_defaults(act=history, lenient=True)
    return described


def _add_status(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = command(subparsers, "status", help="show both slots", examples="  rpm-ostree status --json --booted")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--jsonpath", "-J", help=argparse.SUPPRESS)
    parser.add_argument("--booted", "-b", action="store_true", help="only what runs")
    parser.add_argument("--verbose", "-v", action="store_true", help="more about each")
    parser.add_argument("--advisories", "-a", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--pending-exit-77", action="store_true", help="end with 77 where something is staged")
    parser.set_defaults(act=_status, for_everyone=_status_for_everyone, lenient=True)


def _status(on: Node, options: argparse.Namespace) -> int:
    if options.jsonpath:
        raise InputError("there is no filter here", hint="pipe it to jq: rpm-ostree status --json | jq ...")
    found = options.status = status.collect(on)
    document = rpm_ostree.document(found, booted_only=options.booted)
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        print(rpm_ostree.text(document, verbose=options.verbose))
    return _status_code(document, options)


def _status_for_everyone(root: Root, options: argparse.Namespace) -> int:
    """As ``_status`` for a user who may not read the boot partition: what root's last command left."""
    document = snapshot.read(root).compatible
    if options.booted:
        document = document | {"deployments": [item for item in document["deployments"] if item["booted"]]}
    print(json.dumps(document, indent=2) if options.json else rpm_ostree.text(document, verbose=options.verbose))
    return _status_code(document, options)


def _status_code(document: dict[str, object], options: argparse.Namespace) -> int:
    deployments = document["deployments"]
    assert isinstance(deployments, list)
    is_pending = bool(deployments) and not deployments[0]["booted"]
    return 77 if options.pending_exit_77 and (is_pending or any(item["staged"] for item in deployments)) else 0


def main(arguments: Sequence[str] | None = None, **given: Unpack[Given]) -> int:
    """Runs one command and returns its exit status."""
    return node.main(arguments, front=RPM_OSTREE, described=parser(), **given)


def program() -> NoReturn:
    """``/usr/bin/rpm-ostree`` on a node."""
    node.stop_in_order()
    sys.exit(main())
