"""``nestos status`` and ``nestos history``."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from nestos.base.paths import Root
from nestos.cli.node_answers import command
from nestos.deploy import snapshot, status
from nestos.deploy.node import Node


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the sub-commands."""
    parser = command(
        subparsers,
        "status",
        help="show both slots, what boots next, and which releases failed here",
        examples="  nestos status\n  nestos status -v        with hashes, kernel arguments and history\n"
        "  nestos status --json | jq .slots.a.deployment.version",
    )
    parser.add_argument("--json", action="store_true", help="print JSON of a documented, stable form")
    parser.add_argument("-v", "--verbose", action="store_true", help="more about each slot, and the history")
    parser.add_argument("--booted", "-b", action="store_true", help=argparse.SUPPRESS)
    parser.set_defaults(act=_status, for_everyone=_status_for_everyone, lenient=True)
    past = command(
        subparsers,
        "history",
        help="show what happened to the slots",
        examples="  nestos history\n  nestos history --json",
    )
    past.add_argument("--json", action="store_true", help="one object per event, oldest first")
    past.set_defaults(act=history, lenient=True)


def _status(node: Node, options: argparse.Namespace) -> int:
    found = options.status = status.collect(node)
    print(json.dumps(status.document(found), indent=2) if options.json else status.text(found, verbose=options.verbose))
    return 0


def _status_for_everyone(root: Root, options: argparse.Namespace) -> int:
    """As ``_status`` for a user who may not read the boot partition: what root's last command left."""
    found = snapshot.read(root)
    print(json.dumps(found.document, indent=2) if options.json else found.verbose if options.verbose else found.text)
    return 0


def history(node: Node, options: argparse.Namespace) -> int:
    """What happened to the slots, oldest first."""
    events = node.records.history()
    if options.json:
        print(json.dumps([asdict(event) for event in events], indent=2))
    else:
        for event in events:
            print(status.history_line(event))
    return 0
