"""``nestos updates``: the update server, who may steer it, and the same answers as plain files."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from nestos.base.clock import SystemClock
from nestos.base.errors import InputError, StateError
from nestos.cli import releasing
from nestos.cli.releasing import folder_path
from nestos.updates import export, service, source
from nestos.updates.admin.tokens import FILE, Role, Tokens
from nestos.updates.fleet import Fleet
from nestos.updates.guardian import Guardian

_EPILOG = """\
examples:
  nestos updates serve                            on port 8080; metrics and health on 127.0.0.1:9080
  nestos updates serve --folder=/srv/mirror       of a mirror: updates/STREAM.json, prod/streams/STREAM/releases.json
  nestos updates serve --manage                   takes reports, guards rollouts, and a page on 127.0.0.1:9081
  nestos updates token add anna --role=operate    who may use the page and its API
  nestos updates export /srv/www/graph            the graph as files, for any web server; run it from a timer
  curl 'http://127.0.0.1:8080/v1/graph?stream=stable&basearch=x86_64'
"""
_DEFAULTS = service.Settings(folder=Path())


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the sub-command and its own."""
    parser = subparsers.add_parser(
        "updates",
        help="serve the update graph to nodes",
        description="Serve the update graph of a release folder to nodes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="ACTION", required=True)
    serve = commands.add_parser("serve", help="serve until SIGTERM; SIGHUP looks for new metadata at once")
    serve.add_argument("--address", default=_DEFAULTS.address, help="default: %(default)s")
    serve.add_argument("--port", type=int, default=_DEFAULTS.port, help="default: %(default)s")
    serve.add_argument("--status-address", default=_DEFAULTS.status_address, help="default: %(default)s")
    serve.add_argument("--status-port", type=int, default=_DEFAULTS.status_port, help="default: %(default)s")
    serve.add_argument(
        "--refresh-seconds",
        type=float,
        default=_DEFAULTS.refresh_seconds,
        help="between two looks (default: %(default)s)",
    )
    serve.add_argument(
        "--manage", action="store_true", help="take reports, guard rollouts, serve the page and the API; needs the keys"
    )
    serve.add_argument("--admin-address", default="127.0.0.1", help="of the page and the API (default: %(default)s)")
    serve.add_argument("--admin-port", type=int, default=9081, help="default: %(default)s")
    serve.add_argument("--database", type=Path, help="what nodes reported; default: fleet.sqlite in the release folder")
    serve.add_argument("--keys", type=Path, metavar="FOLDER", help="private keys; default: keys in the release folder")
    serve.set_defaults(handler=_serve)
    _register_token(commands)
    written = commands.add_parser("export", help="write the graph as plain files")
    written.add_argument("target", type=Path, metavar="FOLDER")
    written.add_argument(
        "--class", action="append", default=[], dest="classes", metavar="NAME=WARINESS", help="repeatable"
    )
    written.set_defaults(handler=_export)
    for command in (serve, written):
        command.add_argument("--folder", type=Path, help="release folder; default: $NESTOS_RELEASES or ./releases")


def _serve(options: argparse.Namespace) -> int:
    if options.refresh_seconds <= 0:
        raise InputError("--refresh-seconds: more than none")
    settings = service.Settings(
        folder=folder_path(options.folder),
        address=options.address,
        port=options.port,
        status_address=options.status_address,
        status_port=options.status_port,
        refresh_seconds=options.refresh_seconds,
    )

    def started(place: tuple[str, int]) -> None:
        print(f"serving {settings.folder} on http://{place[0]}:{place[1]}/v1/graph", flush=True)

    if not options.manage:
        asyncio.run(service.serve(settings, clock=SystemClock(), started=started))
        return 0
    with _management(options) as management:
        asyncio.run(service.serve(settings, clock=SystemClock(), started=started, management=management))
    return 0


@contextmanager
def _management(options: argparse.Namespace) -> Iterator[service.Management]:
    try:
        admin = importlib.import_module("nestos.updates.admin.service")
        api = importlib.import_module("nestos.updates.admin.api")
        views = importlib.import_module("nestos.updates.admin.views")
    except ImportError as error:
        raise StateError(
            f"the page cannot be made here: {error.name} is missing",
            hint="install it: pip install 'nestos[server]', or the package python3-jinja2",
        ) from error
    clock, folder, seal = SystemClock(), releasing.opened(options), releasing.sealing(options)
    folder.generation()  # a mirror has none, and nothing to steer
    fleet = Fleet(options.database or folder.path / "fleet.sqlite", clock=clock)
    guardian = Guardian(folder, fleet, seal=seal, clock=clock)
    looking = views.Views(folder=folder, fleet=fleet, guardian=guardian, clock=clock)
    # The server looks at the folder on SIGHUP, whoever sends it; so what a person does counts at once.
    steering = api.Steering(views=looking, seal=seal, changed=partial(signal.raise_signal, signal.SIGHUP))
    try:
        yield service.Management(
            fleet=fleet,
            guardian=guardian,
            listener=admin.listener(steering, Tokens(folder.path / FILE), clock=clock),
            address=options.admin_address,
            port=options.admin_port,
        )
    finally:
        fleet.close()


def _register_token(commands: releasing.Actions[argparse.ArgumentParser]) -> None:
    token = commands.add_parser("token", help="who may use the page and the API of serve --manage")
    actions = token.add_subparsers(metavar="ACTION", required=True)
    add = actions.add_parser("add", help="make a token; it is printed this once")
    add.add_argument("name", metavar="NAME", help="whose it is; the audit log has it")
    add.add_argument("--role", choices=[role.name.lower() for role in Role], default="read", help="default: read")
    add.set_defaults(handler=_add_token)
    remove = actions.add_parser("remove", help="end a token at once")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(handler=_remove_token)
    listing = actions.add_parser("list", help="list the tokens by name, with their role")
    listing.set_defaults(handler=_list_tokens)
    for command in (add, remove, listing):
        command.add_argument("--folder", type=Path, help="release folder; default: $NESTOS_RELEASES or ./releases")


def _tokens(options: argparse.Namespace) -> Tokens:
    folder = releasing.opened(options)
    folder.generation()
    return Tokens(folder.path / FILE)


def _add_token(options: argparse.Namespace) -> int:
    print(_tokens(options).add(options.name, role=Role[options.role.upper()]))
    return 0


def _remove_token(options: argparse.Namespace) -> int:
    _tokens(options).remove(options.name)
    return 0


def _list_tokens(options: argparse.Namespace) -> int:
    for token in _tokens(options).all():
        print(f"{token.name:24} {token.role.name.lower()}")
    return 0


def _export(options: argparse.Namespace) -> int:
    answers = source.load(source.public_folder(folder_path(options.folder)))
    classes = dict(_class(text) for text in options.classes) or export.DEFAULT_CLASSES
    made = export.files(answers, classes=classes, now=int(SystemClock().now().timestamp()))
    written, removed = export.write(made, options.target)
    print(f"{len(made)} graphs in {options.target}: {written} written, {removed} removed")
    return 0


def _class(text: str) -> tuple[str, float]:
    name, _, wariness = text.partition("=")
    try:
        return name, float(wariness)
    except ValueError as error:
        raise InputError(f"--class={text}: expected NAME=WARINESS, such as calm=1.0") from error
