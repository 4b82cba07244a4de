"""``nestos locks``: the FleetLock server, and what an operator asks of it and does about it.

``list``, ``release`` and ``history`` work on the server's database, on its machine, whether it runs or not.
"""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from dataclasses import asdict
from pathlib import Path

from nestos.base.clock import SystemClock
from nestos.base.errors import InputError
from nestos.locks import settings as configuration
from nestos.locks.server import Service, listening
from nestos.locks.settings import Settings
from nestos.locks.store import Holder, Store
from nestos.wire.fleetlock import Client

DEFAULT_CONFIG = Path("/etc/nestos/locks.toml")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_EPILOG = """\
examples:
  nestos locks serve --config=locks.toml             until Ctrl-C
  nestos locks list                                  who restarts, who waits, who did not come back
  nestos locks release workers 8121764139b8 --reason="board replaced"
  nestos locks history --json

Nodes ask it with strategy = "fleet_lock" and base_url = "http://HOST:9095/" (docs/agent.md).
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the sub-command."""
    parser = subparsers.add_parser(
        "locks",
        help="the reboot lock server (FleetLock), its holders",
        description="Lend restart slots to the nodes of a fleet, so that only so many restart at once.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    serve = commands.add_parser("serve", help="answer nodes until Ctrl-C")
    serve.add_argument("--address", help="instead of the configuration's")
    serve.add_argument("--port", type=int, help="instead of the configuration's")
    serve.set_defaults(handler=_serve)
    listing = commands.add_parser("list", help="show the groups, who holds a slot and who waits")
    listing.set_defaults(handler=_list)
    release = commands.add_parser("release", help="free a slot of a node that will not do it itself")
    release.add_argument("group", metavar="GROUP")
    release.add_argument("id", metavar="ID", help="the node, as list shows it")
    release.add_argument("--reason", default="", help="for the history")
    release.set_defaults(handler=_release)
    history = commands.add_parser("history", help="show what was taken, given back and freed")
    history.add_argument("--limit", type=int, default=100, metavar="N", help="the last N lines; default: 100")
    history.set_defaults(handler=_history)
    for command in (listing, history):
        command.add_argument("--json", action="store_true", help="print JSON")
    for command in (serve, listing, release, history):
        command.add_argument("--config", type=Path, help=f"TOML file; default: {DEFAULT_CONFIG}, if it exists")
        command.add_argument("--database", type=Path, help="SQLite file, instead of the configuration's")


def _settings(options: argparse.Namespace) -> Settings:
    path: Path = options.config or DEFAULT_CONFIG
    if options.config is None and not path.exists():
        return Settings()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}") from error
    found, report = configuration.parse(text, source=str(path))
    for finding in report:
        print(f"nestos: {path}: {finding}", file=sys.stderr)
    return found


def _store(options: argparse.Namespace, settings: Settings) -> Store:
    path = options.database or Path(settings.database)
    return Store(path, settings=settings, clock=SystemClock(), boot_id=_BOOT_ID.read_text().strip())


def _serve(options: argparse.Namespace) -> int:
    settings = _settings(options)
    service = Service(_store(options, settings), settings)
    address = options.address or settings.address
    port = settings.port if options.port is None else options.port
    with listening(service, address=address, port=port) as serving:
        groups = ", ".join(f"{group.name} ({group.slots})" for group in settings.groups.values())
        print(f"lending slots on http://{address}:{serving.server_port}/ for {groups}; Ctrl-C ends", flush=True)
        serving.serve_forever()
    return 0


def _list(options: argparse.Namespace) -> int:
    settings = _settings(options)
    store = _store(options, settings)
    holders, waiters = store.holders(), store.waiters()
    if options.json:
        document = {
            "groups": [asdict(group) for group in settings.groups.values()],
            "holders": [asdict(holder) | {"lost": holder.is_lost} for holder in holders],
            "waiters": [asdict(waiter) for waiter in waiters],
        }
        print(json.dumps(document, indent=2))
        return 0
    names = [
        *settings.groups,
        *sorted({*(item.group for item in holders), *(item.group for item in waiters)} - settings.groups.keys()),
    ]
    for name in names:
        group = settings.group(name)
        mine = [holder for holder in holders if holder.group == name]
        taken = sum(not holder.is_lost for holder in mine)
        print(f"{name}: {taken} of {group.slots if group else 0} slots taken")
        for holder in mine:
            print(f"  {holder.id}  since {holder.granted}  {_lease(holder)}")
        for waiter in waiters:
            if waiter.group == name:
                print(f"  {waiter.id}  waits since {waiter.asked}")
    return 0


def _lease(holder: Holder) -> str:
    return f"{holder.left_seconds} s left" if holder.left_seconds is not None else "did not come back: lost"


def _release(options: argparse.Namespace) -> int:
    client = Client(id=options.id, group=options.group)
    _store(options, _settings(options)).force(client, who=getpass.getuser(), reason=options.reason)
    print(f"{client.id} no longer holds a slot of {client.group}")
    return 0


def _history(options: argparse.Namespace) -> int:
    records = _store(options, _settings(options)).history(limit=options.limit)
    if options.json:
        print(json.dumps([asdict(record) for record in records], indent=2))
        return 0
    for record in records:
        print(f"{record.time}  {record.event:10}  {record.group}  {record.id}  {record.detail}".rstrip())
    return 0
