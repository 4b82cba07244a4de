"""``nestos agent``: what the update agent does and waits for, the operator's orders to it, and the service itself.

Loaded by the service too, which is to stay small: nothing here imports what changes a slot, as
``nestos.cli.agent_staging`` does. Exit status: 0 done, 77 nothing to do, 1 failed, 2 wrong usage or configuration.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import random
import re
import stat
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from nestos.agent import explain, identity, memory, orders, service, settings
from nestos.agent.driver import SystemDriver
from nestos.agent.engine import Engine
from nestos.agent.http import Client
from nestos.agent.identity import Identity
from nestos.agent.memory import MemoryFile
from nestos.agent.metrics import Metrics
from nestos.agent.orders import Approval, Hold, OrderBook
from nestos.agent.people import LoggedIn
from nestos.agent.reporting import KEY_FILE, Reporter
from nestos.agent.servers import Cincinnati, FleetLock
from nestos.agent.service import Service
from nestos.agent.settings import Settings, Strategy
from nestos.agent.surroundings import Surroundings
from nestos.base import log, reading
from nestos.base.clock import Clock, SystemClock
from nestos.base.errors import InputError, NestosError, StateError
from nestos.base.notify import Notifier
from nestos.base.paths import Root
from nestos.host import process

UNCHANGED = 77
_CHECK_SECONDS = 150.0
_POLL_SECONDS = 0.5
_MARKER_BYTES = 4096
_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_EXAMPLES = """\
examples:
  nestos agent explain                      why does this node not update, and what can I do?
  nestos agent check                        ask the update server now (exit status 77: nothing new)
  nestos agent apply                        take and restart into the next release, approved
  nestos agent apply --now 13.20261123.0    also outside of windows and with people logged in
  nestos agent hold --for=2d --reason="sales"
  nestos agent release                      end the hold
  nestos agent history --json

Configuration: /etc/nestos/agent.d/*.toml, as zincati's; see docs/agent.md
"""

Handler = Callable[[Root, argparse.Namespace], int]


def register(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
) -> argparse._SubParsersAction[argparse.ArgumentParser]:
    """Adds the sub-command, and returns its own sub-commands for others to add to."""
    parser = subparsers.add_parser(
        "agent",
        help="the update agent: what it waits for, and orders to it",
        description="What the update agent does and waits for, and orders to it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="agent_command", metavar="COMMAND", required=True)
    _add(commands, "status", _status, "show in a few lines where the agent stands", has_json=True)
    _add(commands, "explain", _explain, "say what is waited for, until when, who holds it, what to do", has_json=True)
    _add(commands, "history", _history, "show what the agent did", has_json=True)
    _add(commands, "check", _check, "ask the update server now")
    apply = _add(commands, "apply", _apply, "approve a release: it is taken, and the node restarted into it")
    apply.add_argument("version", metavar="VERSION", nargs="?", default="", help="only this one; default: the next")
    apply.add_argument("--now", action="store_true", help="at once: whatever the windows, and who is logged in")
    hold = _add(commands, "hold", _hold, "take no release and do not restart, until it is ended")
    hold.add_argument("--for", dest="span", metavar="SPAN", help="45m, 12h, 2d or 1w; default: until release")
    hold.add_argument("--reason", default="", help="for whoever asks why")
    _add(commands, "release", _release, "end the hold")
    _add(commands, "run", _run, "be the agent (the service does this)")
    return commands


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    handler: Handler,
    text: str,
    *,
    has_json: bool = False,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    if has_json:
        parser.add_argument("--json", action="store_true", help="print JSON of a documented, stable form")

    def as_root(node: Any, options: argparse.Namespace) -> int:
        return handler(node.root, options)

    parser.set_defaults(act=as_root, for_everyone=handler, handler=handler, lenient=True, publishes=False)
    return parser


# Reading


def _status(root: Root, options: argparse.Namespace) -> int:
    found = _document(root)
    print(json.dumps(found, indent=2) if options.json else explain.status_text(found, now=SystemClock().now()))
    return 0


def _explain(root: Root, options: argparse.Namespace) -> int:
    found = _document(root)
    print(json.dumps(found, indent=2) if options.json else explain.text(found, now=SystemClock().now()))
    return 0


def _history(root: Root, options: argparse.Namespace) -> int:
    entries = MemoryFile(root.join(memory.FOLDER)).history()
    if options.json:
        print(json.dumps(entries, indent=2))
    for entry in () if options.json else entries:
        print(f"{entry['time']}  {entry['event']:9}  {entry['version']}  {entry['detail']}".rstrip())
    return 0


def _document(root: Root) -> dict[str, Any]:
    try:
        found = json.loads(root.join(explain.STATUS).read_bytes())
    except (OSError, ValueError) as error:
        settings.load(root)  # what is wrong with the configuration is why the agent does not run
        hint = "is it started? systemctl status nestos-agent"
        raise StateError("the agent has not said anything yet", hint=hint) from error
    return dict(found)


# Orders


def _check(root: Root, _options: argparse.Namespace) -> int:
    clock = SystemClock()
    asked = clock.now().replace(microsecond=0)
    _book(root).ask_to_check(clock.now())
    found = wait_for_check(root, asked=asked, clock=clock)
    if found is None:
        print("the agent will ask the update server with its next step: nestos agent status")
        return 0
    if found["release"]:
        print(f"{found['release']['version']}: {explain.one_line(found)}")
        return 0
    print(found["problem"] or found["verdict"])
    return 1 if found["problem"] else UNCHANGED


def wait_for_check(root: Root, *, asked: datetime, clock: Clock) -> dict[str, Any] | None:
    """Wakes the agent and waits for what the update server says after ``asked``; none if the agent says nothing."""
    if not service.wake(root):
        return None
    end = clock.monotonic() + _CHECK_SECONDS
    while clock.monotonic() < end:
        clock.sleep(_POLL_SECONDS)
        found = _document(root)
        is_answered = found["last_check"] and datetime.fromisoformat(found["last_check"]) >= asked
        is_failed = found["problem"] and datetime.fromisoformat(found["written"]) >= asked
        if is_answered or is_failed:
            return found
    return None


def _apply(root: Root, options: argparse.Namespace) -> int:
    now = SystemClock().now()
    approval = Approval(who=_who(), since=now, version=options.version, skips_windows=options.now)
    _book(root).approve(approval)
    what = options.version or "the next release"
    print(f"{what} is approved{', and the node is restarted into it at once' if options.now else ''}")
    _wake(root)
    return 0


def _hold(root: Root, options: argparse.Namespace) -> int:
    now = SystemClock().now()
    until = now + span(options.span) if options.span else None
    _book(root).place_hold(Hold(who=_who(), since=now, reason=options.reason, until=until))
    print(f"updates are held {f'until {until:%Y-%m-%d %H:%M} UTC' if until else 'until: nestos agent release'}")
    _wake(root)
    return 0


def _release(root: Root, _options: argparse.Namespace) -> int:
    if not _book(root).end_hold():
        print("updates are not held")
        return UNCHANGED
    print("updates are no longer held")
    _wake(root)
    return 0


def span(text: str) -> timedelta:
    """``45m``, ``12h``, ``2d``, ``1w``. Raises ``InputError`` for anything else."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})([mhdw])", text)
    if not match:
        raise InputError(f"{text!r} is no span of time such as 45m, 12h, 2d or 1w")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def _book(root: Root) -> OrderBook:
    folder = root.join(orders.FOLDER)
    if not os.access(folder if folder.is_dir() else folder.parent, os.W_OK):
        raise NestosError("only root gives orders to the agent", hint="use sudo")
    return OrderBook(folder)


def _who() -> str:
    return os.environ.get("SUDO_USER") or f"user {os.getuid()}"


def _wake(root: Root) -> None:
    if not service.wake(root):
        print("the agent does not run; it will see this when it starts")


# The service


def _run(root: Root, _options: argparse.Namespace) -> int:
    loaded = settings.examine(root)
    for finding in loaded.findings:
        logging.getLogger("nestos.agent").warning("%s", finding)
    made(root, settings.load(root), warnings=tuple(map(str, loaded.findings))).run()
    return 0


def made(root: Root, chosen: Settings, *, warnings: tuple[str, ...] = ()) -> Service:
    """The agent of the node at ``root``. Raises ``NestosError`` where what it needs to know is not there."""
    driver = SystemDriver(root, runner=process.run)
    who = identify(root, chosen, ref=driver.look().ref)
    clock = SystemClock()
    ask = Client(clock=clock)
    has_lock = Strategy.FLEET_LOCK in chosen.strategies
    key = root.join(memory.FOLDER) / KEY_FILE
    around = Surroundings(
        driver=driver,
        updates=Cincinnati(chosen.base_url, who=who, ask=ask),
        locks=FleetLock(chosen.fleet_lock_url, who=who, ask=ask) if has_lock else None,
        reports=Reporter(chosen.base_url, who=who, key=key, ask=ask) if chosen.is_reporting else None,
        people=LoggedIn(runner=process.run),
        orders=OrderBook(root.join(orders.FOLDER)),
        file=MemoryFile(root.join(memory.FOLDER)),
        marker=lambda: marker(root.join(chosen.marker_file)),
        clock=clock,
        chance=random.SystemRandom(),
        boot_id=_text(root, "/proc/sys/kernel/random/boot_id"),
    )
    metrics = measured(chosen, who, version=driver.look().version, now=clock.now())
    # What start-up left is not looked through again by each collection, nor copied by a child.
    gc.freeze()
    return Service(
        engine=Engine(chosen, around, metrics=metrics),
        who=who,
        root=root,
        clock=clock,
        notifier=Notifier(os.environ),
        warnings=warnings,
    )


def identify(root: Root, chosen: Settings, *, ref: str) -> Identity:
    """Who this node is to the servers."""
    return Identity(
        node_uuid=chosen.node_uuid or identity.node_uuid(_text(root, "/etc/machine-id")),
        group=chosen.group,
        basearch=os.uname().machine,
        platform=identity.platform(_text(root, "/proc/cmdline")),
        stream=identity.stream(ref),
        wariness=chosen.rollout_wariness,
    )


def measured(chosen: Settings, who: Identity, *, version: str, now: datetime) -> Metrics:
    """Metrics that do not change while the agent runs."""
    metrics = Metrics()
    metrics.set(
        "zincati_identity_os_info",
        1,
        os_version=version,
        basearch=who.basearch,
        stream=who.stream,
        platform=who.platform,
    )
    if who.wariness is not None:
        metrics.set("zincati_identity_rollout_wariness", who.wariness)
    metrics.set("zincati_update_agent_updates_enabled", chosen.enabled)
    metrics.set("zincati_update_agent_updates_allow_downgrade", chosen.allow_downgrade)
    for strategy in chosen.strategies:
        metrics.set("zincati_updates_strategy_mode", 1, strategy=strategy)
    if Strategy.PERIODIC in chosen.strategies:
        length = chosen.calendar.length_minutes()
        metrics.set("zincati_updates_strategy_periodic_schedule_length_minutes", length)
    metrics.set("process_start_time_seconds", now.astimezone(UTC).timestamp())
    return metrics


def marker(path: Path) -> str | None:
    """The text of the marker file; none where it is missing, no regular file, or can be written by everyone."""
    try:
        return reading.regular(path, most_bytes=_MARKER_BYTES, mode_not=stat.S_IWOTH).decode(errors="replace")
    except OSError:
        return None


def _text(root: Root, path: str) -> str:
    try:
        return root.join(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"{path}: {error}") from error


def main(arguments: Sequence[str] | None = None, *, root: Root | None = None) -> int:
    """As ``nestos agent``, without the rest of the node's program: what the service starts."""
    parser = argparse.ArgumentParser(prog="nestos")
    register(parser.add_subparsers(dest="command", required=True))
    options = parser.parse_args(["agent", *(sys.argv[1:] if arguments is None else arguments)])
    log.setup(verbose=1)
    try:
        return int(options.handler(root or Root("/"), options))
    except NestosError as error:
        print(f"nestos agent: {error}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        return error.exit_code


def program() -> NoReturn:
    """The service's program: ``python3 -I -m nestos.cli.agent run``."""
    sys.exit(main())


if __name__ == "__main__":
    program()
