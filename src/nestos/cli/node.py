"""``nestos`` on a node: status, upgrade, deploy, rollback, and what the boot's units call.

Also ``/usr/bin/nestos`` there, so it imports the standard library only. Exit status: 0 done, 77 nothing to do,
1 failed, 2 wrong usage or configuration.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from nestos.base import log
from nestos.base.errors import NestosError
from nestos.base.log import Progress
from nestos.base.paths import Root
from nestos.cli import agent, agent_staging
from nestos.deploy import boot, config, records, status
from nestos.deploy.boot import After
from nestos.deploy.node import Node
from nestos.deploy.records import Cause
from nestos.deploy.release import Verdict
from nestos.deploy.upgrade import Offer, Options, Taken, Upgrade
from nestos.slots import hardware

logger = logging.getLogger(__name__)

UNCHANGED = 77  # as rpm-ostree: asked for a change, and there is none to make
_COMMAND_LINE = Path("/proc/cmdline")

_EXAMPLES = """\
examples:
  nestos status                     what runs, what boots next, what failed
  nestos status --json              the same for programs
  nestos upgrade --check            is there something newer? (exit status 77: no)
  nestos upgrade --reboot           take it and restart into it
  nestos deploy 13.20261123.0       take this very version, older or newer
  nestos rollback --reboot          go back to the other good slot

exit status: 0 done, 77 nothing to do, 1 failed, 2 wrong usage or configuration
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the node's commands; each sets ``act``, a function of a node and the options to an exit status."""
    _add_status(subparsers)
    _add_upgrade(subparsers)
    _add_deploy(subparsers)
    _add_rollback(subparsers)
    _add_boot(subparsers)
    agent_staging.register(agent.register(subparsers))


def _command(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser], name: str, *, help: str, examples: str
) -> argparse.ArgumentParser:
    return subparsers.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_status(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
        subparsers,
        "status",
        help="show both slots, what boots next, and which releases failed here",
        examples="  nestos status\n  nestos status -v        with hashes, kernel arguments and history\n"
        "  nestos status --json | jq .slots.a.deployment.version",
    )
    parser.add_argument("--json", action="store_true", help="print JSON of a documented, stable form")
    parser.add_argument("-v", "--verbose", action="store_true", help="more about each slot, and the history")
    parser.set_defaults(act=_status, for_everyone=_status_for_everyone, lenient=True)


def _add_upgrade(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
        subparsers,
        "upgrade",
        help="take the newest release of the branch into the passive slot",
        examples="  nestos upgrade --check\n  nestos upgrade --dry-run\n  nestos upgrade --reboot",
    )
    parser.add_argument("--check", action="store_true", help="only say whether there is one; exit status 77: no")
    parser.add_argument(
        "--allow-downgrade", action="store_true", help="take what the branch offers even if it is older"
    )
    parser.add_argument("--download-only", action="store_true", help="fetch it and stage nothing")
    _add_taking_options(parser)
    parser.set_defaults(act=_upgrade)


def _add_deploy(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
        subparsers,
        "deploy",
        help="take one version of the branch's history, older or newer",
        examples="  nestos deploy 13.20261123.0\n  nestos deploy --dry-run 13.20261123.0",
    )
    parser.add_argument("version", metavar="VERSION", help="the version, as nestos status prints it")
    _add_taking_options(parser)
    parser.set_defaults(act=_deploy)


def _add_taking_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--allow-denied", action="store_true", help="take a release although it failed on this node")
    parser.add_argument("--dry-run", action="store_true", help="print the steps and change nothing")
    parser.add_argument("--reboot", action="store_true", help="restart into it when it is staged")


def _add_rollback(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
        subparsers,
        "rollback",
        help="boot the other good slot next, or give up what is staged",
        examples="  nestos rollback\n  nestos rollback --reboot",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would boot next and change nothing")
    parser.add_argument("--reboot", action="store_true", help="restart into it")
    parser.set_defaults(act=_rollback)


def _add_boot(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
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


# Status, upgrade, deploy, rollback


def _status(node: Node, options: argparse.Namespace) -> int:
    found = status.collect(node)
    print(json.dumps(status.document(found), indent=2) if options.json else status.text(found, verbose=options.verbose))
    return 0


def _status_for_everyone(root: Root, options: argparse.Namespace) -> int:
    """As ``_status`` for a user who may not read the boot partition: what root's last command left."""
    found = status.snapshot(root)
    print(json.dumps(found.document, indent=2) if options.json else found.verbose if options.verbose else found.text)
    return 0


def _upgrade(node: Node, options: argparse.Namespace) -> int:
    upgrade = Upgrade(node, progress=Progress())
    allowed = Options(allow_downgrade=options.allow_downgrade, allow_denied=options.allow_denied)
    with upgrade.lock("upgrade --check" if options.check else "upgrade"):
        offer = upgrade.examine(options=allowed)
        if options.check:
            return _tell(offer)
        if options.download_only and offer.need is not None:
            upgrade.download(offer)
            print(f"{offer.release.version} is downloaded; nestos upgrade takes it")
            return 0
        return _take(node, upgrade, offer, options)


def _deploy(node: Node, options: argparse.Namespace) -> int:
    upgrade = Upgrade(node, progress=Progress())
    with upgrade.lock(f"deploy {options.version}"):
        slot = upgrade.held(options.version)
        if slot is not None and slot is upgrade.follows():
            print(f"{options.version} is in slot {slot}, which boots next already")
            return UNCHANGED
        if slot is not None:
            return _go_back(node, upgrade, options)
        offer = upgrade.examine(version=options.version, options=Options(allow_denied=options.allow_denied))
        return _take(node, upgrade, offer, options)


def _take(node: Node, upgrade: Upgrade, offer: Offer, options: argparse.Namespace) -> int:
    if offer.verdict is Verdict.UNCHANGED:
        print(f"no update: {offer.release.version} is what runs")
        return UNCHANGED
    if offer.verdict is Verdict.STAGED:
        print(f"{offer.release.version} is staged already and boots next")
        if options.reboot and not options.dry_run:
            _reboot(node)
            return 0
        return UNCHANGED
    if options.dry_run:
        print("\n".join(f"{number}. {step}" for number, step in enumerate(upgrade.plan(offer), start=1)))
        return 0
    taken = upgrade.take(offer)
    _tell_etc(taken)
    print(f"{taken.version} is in slot {taken.slot} and boots next")
    _restart_if_asked(node, options)
    return 0


def _tell(offer: Offer) -> int:
    if offer.verdict is Verdict.UNCHANGED:
        print(f"no update: {offer.release.version} is what runs")
        return UNCHANGED
    if offer.verdict is Verdict.STAGED:
        print(f"no update: {offer.release.version} is staged already and boots next")
        return UNCHANGED
    size = f", at most {offer.need.fetched_bytes / 1e6:.1f} MB" if offer.need else ""
    print(f"available: {offer.release.version} ({offer.release.commit}){size}")
    return 0


def _tell_etc(taken: Taken) -> None:
    for path in taken.etc.conflicts:
        print(f"/etc/{path}: changed here and by the release; yours stays, the new one is /usr/etc/{path}")
    for path in taken.etc.merged:
        print(f"/etc/{path}: joined with the release's")
    for note in taken.etc.notes:
        print(note)


def _rollback(node: Node, options: argparse.Namespace) -> int:
    upgrade = Upgrade(node, progress=Progress())
    with upgrade.lock("rollback"):
        return _go_back(node, upgrade, options)


def _go_back(node: Node, upgrade: Upgrade, options: argparse.Namespace) -> int:
    if options.dry_run:
        taken = upgrade.rollback_target()
        print(f"slot {taken.slot}, {taken.version}, would boot next")
        return 0
    taken = upgrade.rollback()
    print(f"slot {taken.slot}, {taken.version}, boots next")
    _restart_if_asked(node, options)
    return 0


def _restart_if_asked(node: Node, options: argparse.Namespace) -> None:
    if options.reboot:
        _reboot(node)
    else:
        print("restart to switch: systemctl reboot")


def _reboot(node: Node) -> None:
    node.runner(["systemctl", "reboot"])


# The boot's units


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


# The program


def this_node(*, lenient: bool) -> Node:
    """The node that this process runs on. ``lenient``: wrong settings are logged and left out, not raised."""
    root = Root("/")
    if lenient:
        settings, findings = config.examine(root)
        for finding in findings:
            logger.warning("%s", finding)
    else:
        settings = config.load(root)
    return Node(
        root=root,
        machine=hardware.node(_COMMAND_LINE.read_text()),
        boot_id=records.boot_id(),
        settings=settings,
    )


def parser() -> argparse.ArgumentParser:
    """The node's command line."""
    described = argparse.ArgumentParser(
        prog="nestos",
        description="The node's own system: what runs, updates, and the way back.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    described.add_argument("--debug", action="count", default=0, help="log commands; twice: everything")
    register(described.add_subparsers(dest="command", required=True, metavar="COMMAND"))
    return described


def main(
    arguments: Sequence[str] | None = None,
    *,
    find_node: Callable[..., Node] = this_node,
    root: Root | None = None,
    user: int | None = None,
) -> int:
    """Runs one command and returns its exit status; errors become a message on standard error.

    ``user``, by default the effective user id, decides what is allowed: users other than root may read the status.
    """
    options = parser().parse_args(arguments)
    log.setup(verbose=options.debug)
    try:
        if (os.geteuid() if user is None else user) == 0:
            status_code = _act(find_node(lenient=getattr(options, "lenient", False)), options)
        elif "for_everyone" in options:
            status_code = options.for_everyone(root or Root("/"), options)
        else:
            raise NestosError("only root can change the slots", hint="use sudo")
    except NestosError as error:
        print(f"nestos: {error}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("nestos: interrupted; the running system is untouched", file=sys.stderr)
        return 130
    return status_code


def _act(node: Node, options: argparse.Namespace) -> int:
    """Runs root's command, and shows everyone what it left, however it ended."""
    try:
        status_code: int = options.act(node, options)
    finally:
        if getattr(options, "publishes", True):
            with suppress(NestosError, OSError):
                status.publish(node)
    return status_code


def program() -> NoReturn:
    """``/usr/bin/nestos`` on a node."""
    sys.exit(main())


if __name__ == "__main__":
    program()
