"""``nestos boot``: what the units of a boot call."""

from __future__ import annotations

import argparse
from pathlib import Path

from nestos.cli.node_answers import command
from nestos.deploy import boot
from nestos.deploy.boot import After
from nestos.deploy.node import Node
from nestos.deploy.records import Cause

_COMMAND_LINE = Path("/proc/cmdline")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the sub-command."""
    parser = command(
        subparsers,
        "boot",
        help="what the units of a boot call: health, mark-good, farewell, failed, deadline",
        examples="  nestos boot health                        run the health checks now\n"
        '  nestos boot failed --reason "no uplink"   give this boot up',
    )
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    for name, act, publishes, text in (
        ("health", _boot_health, False, "run the checks of health.d; fails if a required one does"),
        ("mark-good", _boot_mark_good, True, "this boot completed: the running slot is good"),
        ("farewell", _boot_farewell, False, "an orderly shutdown begins"),
        ("deadline", _boot_deadline, False, "give this boot up unless boot-complete.target is active"),
    ):
        step = steps.add_parser(name, help=text, description=text)
        step.set_defaults(act=act, lenient=True, publishes=publishes)
    failed = steps.add_parser("failed", help="give this boot up", description="remember why, and restart if that helps")
    failed.add_argument("--reason", default="a unit that boot-complete.target needs failed", help="for nestos status")
    failed.set_defaults(act=_boot_failed, lenient=True)


def _boot_health(node: Node, _options: argparse.Namespace) -> int:
    results = boot.check_health(node, verify=boot.verifier(_COMMAND_LINE.read_text()))
    for result in results:
        print(f"{result.kind} {result.name}: {result.problem or 'passed'}")
    return 0


def _boot_mark_good(node: Node, _options: argparse.Namespace) -> int:
    outcome = boot.mark_good(node)
    print(f"slot {node.booted}, {outcome.version or 'unknown version'}, is good")
    if outcome.fallback:
        print(f"went back from slot {outcome.fallback.slot}, {outcome.failed_version}: {outcome.reason}")
    return 0


def _boot_farewell(node: Node, _options: argparse.Namespace) -> int:
    boot.farewell(node)
    return 0


def _boot_failed(node: Node, options: argparse.Namespace) -> int:
    return _give_up(node, cause=Cause.UNIT, reason=options.reason)


def _boot_deadline(node: Node, _options: argparse.Namespace) -> int:
    done = node.runner(["systemctl", "is-active", "--quiet", "boot-complete.target"], accepted=(0, 1, 2, 3, 4))
    if done.returncode == 0:
        return 0
    jobs = node.runner(["systemctl", "list-jobs", "--no-legend", "--plain"], accepted=(0, 1)).stdout
    waiting = [line.split()[1] for line in jobs.splitlines() if line.split()[3:4] == ["running"]]
    held_up = f", held up by {', '.join(waiting)}" if waiting else ""
    return _give_up(node, cause=Cause.DEADLINE, reason=f"did not reach boot-complete before the deadline{held_up}")


def _give_up(node: Node, *, cause: Cause, reason: str) -> int:
    after = boot.fail(node, cause=cause, reason=reason)
    failure = node.records.boot_failures().get(str(node.booted))
    print(f"this boot failed: {failure.reason if failure else reason}")
    if after is After.RESTART:
        # Not through the units' own stopping, of which any may hang in a boot as bad as this.
        node.runner(["systemctl", "reboot", "--force"])
    else:
        print("restarting would not help: there is no other good slot, and this one has no tries left")
    return 0
