"""``nestos updates``: the update server, and the same answers as plain files."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from nestos.base.clock import SystemClock
from nestos.base.errors import InputError
from nestos.cli.release import folder_path
from nestos.updates import export, service, source

_EPILOG = """\
examples:
  nestos updates serve                            on port 8080; metrics and health on 127.0.0.1:9080
  nestos updates serve --folder=/srv/mirror       of a mirror: updates/STREAM.json, prod/streams/STREAM/releases.json
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
    serve.set_defaults(handler=_serve)
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

    asyncio.run(service.serve(settings, clock=SystemClock(), started=started))
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
