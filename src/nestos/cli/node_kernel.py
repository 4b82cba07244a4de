"""Commands about what the kernel gets: its arguments, its initramfs. Each makes a new slot, none edits one."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nestos.base.errors import InputError, StateError
from nestos.base.log import Progress
from nestos.cli.node_answers import add_ending, command, is_locked, staged, unchanged
from nestos.deploy import kernel_arguments
from nestos.deploy.change import Change, Goal
from nestos.deploy.kernel_arguments import Edit
from nestos.deploy.node import Node
from nestos.wire.origin import Initramfs

_COMMAND_LINE = Path("/proc/cmdline")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the sub-commands."""
    _add_kargs(subparsers)
    _add_initramfs(subparsers)


def _add_kargs(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = command(
        subparsers,
        "kargs",
        help="show or change the kernel's arguments",
        examples="  nestos kargs\n  nestos kargs --append=quiet --delete-if-present=loglevel=4\n"
        "  nestos kargs --replace=console=ttyS0=ttyS1 --reboot",
    )
    for option, help in (
        ("--append", "add it"),
        ("--append-if-missing", "add it unless it is there"),
        ("--delete", "remove it; it must be there"),
        ("--delete-if-present", "remove it if it is there"),
        ("--replace", "KEY=NEW, or KEY=OLD=NEW where the key stands more than once"),
    ):
        parser.add_argument(
            option, action=_Edits, dest="edits", default=[], metavar="KEY[=VALUE]", help=f"{help}; repeatable"
        )
    parser.add_argument("--import-proc-cmdline", action="store_true", help="begin with what the kernel was booted with")
    parser.add_argument("--deploy-index", help=argparse.SUPPRESS)
    add_ending(parser)
    parser.set_defaults(act=_kargs)


class _Edits(argparse.Action):
    """Keeps the edits in the order in which they were given: that is the order in which they apply."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        kind = (option_string or "").removeprefix("--")
        namespace.edits = [*namespace.edits, Edit(kind=kind, text=str(values))]


def _add_initramfs(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = command(
        subparsers,
        "initramfs",
        help="have the initramfs made on this node, or the release's own again",
        examples="  nestos initramfs --enable --arg=--add-drivers=nvme\n  nestos initramfs --disable",
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--enable", action="store_true", help="run dracut now and for every later release")
    kind.add_argument("--disable", action="store_true", help="the release's own again")
    parser.add_argument("--arg", action="append", default=[], metavar="ARGUMENT", help="for dracut; repeatable")
    add_ending(parser)
    parser.set_defaults(act=_initramfs)
    files = command(
        subparsers,
        "initramfs-etc",
        help="put files of /etc into the initramfs",
        examples="  nestos initramfs-etc --track=/etc/lvm/lvm.conf\n  nestos initramfs-etc --untrack-all",
    )
    files.add_argument("--track", action="append", default=[], metavar="PATH", help="a file or folder below /etc")
    files.add_argument("--untrack", action="append", default=[], metavar="PATH", help="no longer")
    files.add_argument("--untrack-all", action="store_true", help="none any more")
    files.add_argument("--force-sync", action="store_true", help="make the initramfs anew with the files as they are")
    add_ending(files)
    files.set_defaults(act=_initramfs_etc)


def _kargs(node: Node, options: argparse.Namespace) -> int:
    change = Change(node, progress=Progress())
    if not options.edits and not options.import_proc_cmdline:
        print(" ".join(change.current().kargs))
        return 0
    with change.lock("kargs"):
        known = change.current().kargs
        if options.import_proc_cmdline:
            known = kernel_arguments.of_command_line(_COMMAND_LINE.read_text())
        kargs = kernel_arguments.edited(known, options.edits)
        return _carry_out(
            node, options, change, Goal(kargs=kargs, is_locked=is_locked(options)), shown=shlex.join(kargs)
        )


def _initramfs(node: Node, options: argparse.Namespace) -> int:
    change = Change(node, progress=Progress())
    known = change.current().origin.initramfs
    if not options.enable and not options.disable:
        print(f"made on this node: {'yes' if known.regenerate else 'no'}")
        if known.arguments:
            print(f"with: {shlex.join(known.arguments)}")
        return 0
    if options.disable and options.arg:
        raise InputError("arguments are for an initramfs that is made on this node: --enable")
    wish = replace(known, regenerate=options.enable, arguments=tuple(options.arg))
    return _with_initramfs(node, options, change, lambda _: wish)


def _initramfs_etc(node: Node, options: argparse.Namespace) -> int:
    change = Change(node, progress=Progress())
    if not (options.track or options.untrack or options.untrack_all or options.force_sync):
        print("\n".join(change.current().origin.initramfs.etc) or "no file of /etc is in the initramfs")
        return 0
    for path in options.track:
        if not path.startswith("/etc/") or ".." in Path(path).parts:
            raise InputError(f"{path} is not below /etc")

    def wish(known: Initramfs) -> Initramfs:
        kept = () if options.untrack_all else tuple(path for path in known.etc if path not in options.untrack)
        return replace(known, etc=tuple(dict.fromkeys((*kept, *options.track))))

    return _with_initramfs(node, options, change, wish)


def _with_initramfs(
    node: Node, options: argparse.Namespace, change: Change, wish: Callable[[Initramfs], Initramfs]
) -> int:
    with change.lock(options.command):
        origin = change.current().origin
        after = replace(origin, initramfs=wish(origin.initramfs))
        forced = getattr(options, "force_sync", False)
        goal = Goal(origin=after, is_forced=forced, is_locked=is_locked(options))
        return _carry_out(node, options, change, goal, shown=str(after.initramfs))


def _carry_out(node: Node, options: argparse.Namespace, change: Change, goal: Goal, *, shown: str) -> int:
    if options.dry_run:
        print(shown)
        return 0
    try:
        return staged(node, change.take(goal), options)
    except StateError as error:
        if error.kind != "unchanged":
            raise
        return unchanged(options, str(error))
