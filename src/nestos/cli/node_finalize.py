"""``finalize-deployment``: let a release boot that was written under ``--lock-finalization``, and restart into it."""

from __future__ import annotations

import argparse

from nestos.cli.node_answers import command, restart
from nestos.deploy import finalize
from nestos.deploy.node import Node
from nestos.deploy.transaction import exclusive


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the sub-command."""
    parser = command(
        subparsers,
        "finalize-deployment",
        help="let a locked release boot, and restart into it",
        examples="  nestos upgrade --lock-finalization\n  nestos finalize-deployment --allow-missing-checksum\n"
        "  nestos finalize-deployment 4f5997a887d92f19f6ce564069511115138916a37d7b30e2bfd027c5e5158e63",
    )
    parser.add_argument(
        "checksum", nargs="?", default="", metavar="CHECKSUM", help="of the release that is expected to be staged"
    )
    parser.add_argument("--allow-missing-checksum", action="store_true", help="whatever is staged")
    parser.add_argument("--allow-unlocked", action="store_true", help="also what was staged without a lock")
    parser.add_argument("--os", help=argparse.SUPPRESS)
    parser.set_defaults(act=_finalize)


def _finalize(node: Node, options: argparse.Namespace) -> int:
    finalize.require_meant(options.checksum, allow_missing=options.allow_missing_checksum)
    with exclusive(node.lock, command="finalize-deployment", clock=node.clock):
        taken = finalize.finalize(node, checksum=options.checksum, allow_unlocked=options.allow_unlocked)
    print(f"{taken.version} is in slot {taken.slot} and boots next; restarting")
    restart(node)
    return 0
