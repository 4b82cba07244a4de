"""``nestos`` on a node: its sub-commands are in modules of their own, ``node_*``, one a noun.

Also ``/usr/bin/nestos`` there, so it imports the standard library only. Exit status: 0 done, 77 nothing to do,
1 failed, 2 wrong usage or configuration.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TypedDict

from nestos.base import log
from nestos.base.errors import NestosError
from nestos.base.paths import Root
from nestos.cli.node_answers import NESTOS, Front
from nestos.deploy import config, records, snapshot
from nestos.deploy.node import Node
from nestos.slots import hardware

logger = logging.getLogger(__name__)

_COMMAND_LINE = Path("/proc/cmdline")

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "node_status": ("status", "history"),
    "node_update": ("upgrade", "update", "deploy", "rebase", "rollback", "pin", "unpin", "cleanup", "cancel", "reload"),
    "node_packages": ("install", "uninstall", "override", "reset", "search", "refresh-md", "db"),
    "node_kernel": ("kargs", "initramfs", "initramfs-etc"),
    "node_finalize": ("finalize-deployment",),
    "node_live": ("apply-live", "usroverlay"),
    "node_boot": ("boot",),
    "node_agent": ("agent",),
}
"""Module of this package to the commands that it has. Each boot runs three of them, and must not wait for what layers
and trust need (TLS, HTTP, apt): only the module of the command that is given is loaded."""

_EXAMPLES = """\
examples:
  nestos status                     what runs, what boots next, what failed
  nestos status --json              the same for programs
  nestos upgrade --check            is there something newer? (exit status 77: no)
  nestos upgrade --reboot           take it and restart into it
  nestos deploy 13.20261123.0       take this very version, older or newer
  nestos install tcpdump            lay a package on top of the release
  nestos rollback --reboot          go back to the other good slot

exit status: 0 done, 77 nothing to do, 1 failed, 2 wrong usage or configuration
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser], *, command: str = "") -> None:
    """Adds the node's commands; each sets ``act``, a function of a node and the options to an exit status.

    With ``command`` only those of the module that has it; all where none has.
    """
    having = [name for name, commands in COMMANDS.items() if command in commands]
    for name in having or COMMANDS:
        importlib.import_module(f"nestos.cli.{name}").register(subparsers)


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


def parser(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The node's command line, as far as ``arguments`` need it."""
    described = argparse.ArgumentParser(
        prog="nestos",
        description="The node's own system: what runs, updates, and the way back.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    described.add_argument("--debug", action="count", default=0, help="log commands; twice: everything")
    given = next((word for word in arguments if not word.startswith("-")), "")
    register(described.add_subparsers(dest="command", required=True, metavar="COMMAND"), command=given)
    return described


class Given(TypedDict, total=False):
    """What tests give in place of the machine."""

    find_node: Callable[..., Node]
    root: Root | None
    user: int | None


def main(
    arguments: Sequence[str] | None = None,
    *,
    find_node: Callable[..., Node] = this_node,
    root: Root | None = None,
    user: int | None = None,
    front: Front = NESTOS,
    described: argparse.ArgumentParser | None = None,
) -> int:
    """Runs one command and returns its exit status; errors become a message on standard error.

    ``user``, by default the effective user id, decides what is allowed: users other than root may read the status.
    ``described`` is the command line of another ``front`` with the same commands.
    """
    words = sys.argv[1:] if arguments is None else arguments
    options = (described or parser(words)).parse_args(words)
    options.front = front
    log.setup(verbose=options.debug)
    try:
        if (os.geteuid() if user is None else user) == 0:
            status_code = _act(find_node(lenient=getattr(options, "lenient", False)), options)
        elif "for_everyone" in options:
            status_code = options.for_everyone(root or Root("/"), options)
        else:
            raise NestosError("only root can change the slots", hint="use sudo")
    except NestosError as error:
        print(f"{'error' if front.is_compatible else front.name}: {error}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"{front.name}: interrupted; the running system is untouched", file=sys.stderr)
        return 130
    return status_code


def _act(node: Node, options: argparse.Namespace) -> int:
    """Runs root's command, and shows everyone what it left, however it ended."""
    try:
        status_code: int = options.act(node, options)
    finally:
        if getattr(options, "publishes", True):
            with suppress(NestosError, OSError):
                snapshot.publish(node, getattr(options, "status", None))
    return status_code


def stop_in_order() -> None:
    """A polite end is as good as Ctrl-C: what was half made is removed before the program goes."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def program() -> NoReturn:
    """``/usr/bin/nestos`` on a node."""
    stop_in_order()
    sys.exit(main())


if __name__ == "__main__":
    program()
