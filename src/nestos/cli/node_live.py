"""``apply-live`` and ``usroverlay``: changes of the running system that a restart ends."""

from __future__ import annotations

import argparse

from nestos.base.errors import InputError, StateError
from nestos.base.log import Progress
from nestos.cli.node_answers import command, unchanged
from nestos.deploy import live
from nestos.deploy.node import Node
from nestos.deploy.transaction import exclusive


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the sub-commands."""
    parser = command(
        subparsers,
        "apply-live",
        help="have what the staged release adds at once, without a restart",
        examples="  nestos install --apply-live htop\n  nestos apply-live --dry-run\n  nestos apply-live --reset",
    )
    parser.add_argument("--dry-run", "-n", action="store_true", help="say what would come, or what needs a restart")
    parser.add_argument("--reset", action="store_true", help="take it out of /usr again")
    parser.add_argument("--allow-replacement", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--unchanged-exit-77", action="store_true", help=argparse.SUPPRESS)
    parser.set_defaults(act=_apply_live)
    overlay = command(
        subparsers,
        "usroverlay",
        help="make /usr writable until the restart",
        examples="  nestos usroverlay\n  cp ./tool /usr/bin/",
    )
    overlay.add_argument("--hotfix", action="store_true", help=argparse.SUPPRESS)
    overlay.set_defaults(act=_usroverlay)


def _apply_live(node: Node, options: argparse.Namespace) -> int:
    if options.allow_replacement:
        raise InputError(
            "files that change or go are not replaced in a running system: its programs would have half of each",
            hint="restart into what is staged: systemctl reboot",
            kind="unsupported",
        )
    with exclusive(node.lock, command="apply-live", clock=node.clock):
        if options.reset:
            print("/usr is the release's again" if live.reset(node) else "nothing is live")
            return 0
        if options.dry_run:
            changes = live.plan(node)
            print("\n".join(f"needs a restart: {line}" for line in changes.problems) or "\n".join(changes.files))
            return 0
        return apply(node, options)


def apply(node: Node, options: argparse.Namespace) -> int:
    """Has it, and says so. The caller holds the lock."""
    try:
        changes = live.apply(node, progress=Progress())
    except StateError as error:
        if error.kind != "unchanged":
            raise
        return unchanged(options, str(error))
    print(f"{len(changes.files)} files and folders of what is staged are in the running /usr until the restart")
    for path in changes.etc:
        print(f"  new in /etc, which keeps it: /etc/{path.removeprefix('/usr/etc/')}")
    if changes.units:
        print(f"not started: {', '.join(changes.units)}")
    return 0


def _usroverlay(node: Node, options: argparse.Namespace) -> int:
    if options.hotfix:
        raise InputError(
            "a hotfix would outlive the restart, and a slot is verified block by block: nothing can be added to one",
            hint="layer a package (install, override replace), or change it until the restart: nestos usroverlay",
            kind="unsupported",
        )
    with exclusive(node.lock, command="usroverlay", clock=node.clock):
        live.usroverlay(node)
    print("/usr is writable; all that is changed there is gone after the restart")
    return 0
