"""``nestos-installer`` (also ``coreos-installer``): the system onto a disk.

On a node it is ``/usr/bin/nestos-installer``, so it imports the standard library only. Exit status: 0 done, 1 failed,
2 wrong usage.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from nestos import __version__
from nestos.base import log
from nestos.base.errors import NestosError, StateError
from nestos.cli import installer_media
from nestos.host import process
from nestos.installer import download, install, live_system, options, sources, unattended
from nestos.installer.dropin import Value
from nestos.installer.fetch import Fetcher
from nestos.installer.install import Surroundings
from nestos.installer.options import OPTIONS, Given, Kind

logger = logging.getLogger(__name__)

_COMMAND_LINE = Path("/proc/cmdline")
_EXAMPLES = """\
examples:
  nestos-installer install --image-file=metal.raw.xz --ignition-file=node.ign /dev/sda
  nestos-installer install --stream=stable --stream-base-url=https://example.com/streams /dev/sda
  nestos-installer install --config-file=site.yaml --save-partlabel='data*' /dev/sda    keep what lies behind
  nestos-installer install --offline --ignition-file=node.ign /dev/sda       from the live system that this is
  nestos-installer list-stream --stream-base-url=https://example.com/streams --stream=stable
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    described = argparse.ArgumentParser(
        prog="nestos-installer",
        description="Install NestOS to a disk.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    described.add_argument("--version", action="version", version=f"nestos-installer {__version__}")
    described.add_argument("-v", "--verbose", action="count", default=0, help="show the commands that are run")
    commands = described.add_subparsers(metavar="COMMAND", required=True)
    _add_install(commands)
    _add_download(commands)
    _add_list(commands)
    installer_media.register(commands)
    service = commands.add_parser("service", help="install what kernel arguments and config files ask for")
    service.add_argument("--check", action="store_true", help="only say whether something is asked for (status 77: no)")
    service.set_defaults(act=_service)
    return described


def _add_install(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "install", help="install to a disk", description="Install to a disk. What is on the disk is lost."
    )
    parser.add_argument(
        "-c", "--config-file", action="append", default=[], type=Path, metavar="PATH", help="YAML options"
    )
    for name, option in OPTIONS.items():
        if name == "dest-device":
            continue
        flags = [*([f"-{option.short}"] if option.short else []), f"--{name}"]
        if option.kind is Kind.FLAG:
            parser.add_argument(*flags, action="store_const", const=True, help=option.help)
        else:
            action = "append" if option.kind is Kind.LIST else "store"
            parser.add_argument(*flags, action=action, metavar=option.metavar, help=option.help)
    parser.add_argument("dest_device", nargs="?", metavar="DEVICE", help=OPTIONS["dest-device"].help)
    parser.set_defaults(act=_install)


def _add_download(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("download", help="fetch and verify an image")
    parser.add_argument("-s", "--stream", default="", metavar="NAME", help="stream to take it from")
    parser.add_argument("-a", "--architecture", default=platform.machine(), metavar="NAME", help="default: this one")
    parser.add_argument("-p", "--platform", default="metal", metavar="NAME", help="default: metal")
    parser.add_argument("-f", "--format", default="raw.xz", metavar="NAME", help="default: raw.xz")
    parser.add_argument("-u", "--image-url", default="", metavar="URL", help="this file and no stream")
    parser.add_argument("-C", "--directory", default=Path(), type=Path, metavar="PATH", help="default: here")
    parser.add_argument("-d", "--decompress", action="store_true", help="decompress it")
    parser.add_argument("--insecure", action="store_true", help=OPTIONS["insecure"].help)
    parser.add_argument("--keyring", action="append", default=[], type=Path, help=OPTIONS["keyring"].help)
    _add_stream_options(parser)
    parser.set_defaults(act=_download)


def _add_list(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("list-stream", help="list the images of a stream")
    parser.add_argument("-s", "--stream", default="stable", metavar="NAME", help="default: stable")
    _add_stream_options(parser)
    parser.set_defaults(act=_list)


def _add_stream_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stream-base-url", default="", metavar="URL", help=OPTIONS["stream-base-url"].help)
    parser.add_argument("--fetch-retries", default="0", metavar="N", help=OPTIONS["fetch-retries"].help)


def program(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    given = parser().parse_args(arguments)
    log.setup(verbose=given.verbose)
    try:
        return int(given.act(given))
    except NestosError as error:
        print(f"nestos-installer: {error}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        logger.debug("where it came from", exc_info=error)
        name = f"{error.filename}: " if error.filename else ""
        print(f"nestos-installer: {name}{error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("nestos-installer: stopped", file=sys.stderr)
        return 130


def given_options(parsed: argparse.Namespace) -> Given:
    """What the command line of ``install`` gives."""
    found: dict[str, Value] = {}
    for name in OPTIONS:
        value = getattr(parsed, name.replace("-", "_"))
        if value is not None:
            found[name] = value
    return found


def _install(parsed: argparse.Namespace) -> int:
    places = [*unattended.read(parsed.config_file), given_options(parsed)]
    _run_install(options.merged(places))
    return 0


def _run_install(given: Given) -> None:
    settings = options.settings(given, machine=platform.machine(), is_live=live_system.is_here())
    if os.geteuid() != 0:
        raise StateError("only root may write to a disk")
    install.install(settings, around=Surroundings())


def _service(parsed: argparse.Namespace) -> int:
    """The unit of a live system calls this; see ``nestos-installer.service``."""
    command_line = _COMMAND_LINE.read_text()
    if not unattended.is_asked(command_line):
        return 77
    if parsed.check:
        return 0
    # They may choose the disk, by writing one more config file.
    unattended.run_scripts(unattended.BEFORE)
    _run_install(unattended.asked(command_line, unattended.read(unattended.config_files())))
    unattended.run_scripts(unattended.AFTER)
    if not unattended.skips_reboot(command_line):
        process.run(["systemctl", "--no-block", "reboot"])
    return 0


def _download(parsed: argparse.Namespace) -> int:
    around = Surroundings()
    request = download.Request(
        architecture=parsed.architecture,
        directory=parsed.directory,
        image_url=parsed.image_url,
        stream=parsed.stream,
        stream_base_url=parsed.stream_base_url,
        platform=parsed.platform,
        form=parsed.format,
        decompresses=parsed.decompress,
        is_insecure=parsed.insecure,
        keyrings=tuple(parsed.keyring),
    )
    print(download.download(request, fetcher=_fetcher(parsed, around), around=around))
    return 0


def _list(parsed: argparse.Namespace) -> int:
    document = sources.read_stream(parsed.stream_base_url, parsed.stream, fetcher=_fetcher(parsed, Surroundings()))
    print(f"{'ARCHITECTURE':14}{'PLATFORM':14}FORMAT")
    for architecture, name, form in download.listed(document):
        print(f"{architecture:14}{name:14}{form}")
    return 0


def _fetcher(parsed: argparse.Namespace, around: Surroundings) -> Fetcher:
    return Fetcher(retries=options.retries(parsed.fetch_retries), say=around.say)
