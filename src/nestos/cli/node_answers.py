"""What the node's commands share: how a sub-command is declared, what they print, how they end."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from nestos.base.errors import InputError
from nestos.deploy.node import Node
from nestos.deploy.passive import Taken
from nestos.wire.origin import Layers

UNCHANGED = 77
"""Exit status, as rpm-ostree's: asked for a change, and there is none to make."""

_NO_UPGRADE = "No upgrade available."


@dataclass(frozen=True, kw_only=True)
class Front:
    """A program that the commands are registered for: its name, and whether it ends with 77 without being asked."""

    name: str
    is_compatible: bool = False


NESTOS = Front(name="nestos")
RPM_OSTREE = Front(name="rpm-ostree", is_compatible=True)


def command(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    *,
    help: str,
    examples: str,
    aliases: Sequence[str] = (),
) -> argparse.ArgumentParser:
    """A sub-command with examples in its help."""
    return subparsers.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        aliases=list(aliases),
    )


def add_ending(parser: argparse.ArgumentParser, *, writes: bool = True) -> None:
    """The options of every command that ends with another slot to boot. ``writes``: what it boots is written by it."""
    if writes:
        parser.add_argument(
            "--lock-finalization",
            action="store_true",
            help="write and verify it, but keep it from booting until finalize-deployment",
        )
    parser.add_argument("--dry-run", "-n", action="store_true", help="say what would be done and change nothing")
    parser.add_argument("--reboot", "-r", action="store_true", help="restart into it")
    parser.add_argument("--unchanged-exit-77", action="store_true", help="end with 77 where nothing changed")
    _add_accepted(parser)


def _add_accepted(parser: argparse.ArgumentParser) -> None:
    """Words that scripts written for rpm-ostree say, and that mean nothing here: a node has one operating system."""
    for word in ("--os", "--stateroot", "--sysroot"):
        parser.add_argument(word, help=argparse.SUPPRESS)
    for words in (
        ("--quiet", "-q"),
        ("--peer",),
        ("--assumeyes", "-y"),
        ("--bypass-driver",),
        ("--skip-branch-check",),
    ):
        parser.add_argument(*words, action="store_true", help=argparse.SUPPRESS)


def is_locked(options: argparse.Namespace) -> bool:
    """Whether what is written shall wait to be finalized."""
    if options.lock_finalization and options.reboot:
        raise InputError("--lock-finalization keeps it from booting, --reboot restarts into it: give one of them")
    return bool(options.lock_finalization)


def unchanged(options: argparse.Namespace, sentence: str) -> int:
    """Says that nothing changed, and the exit status for it."""
    print(sentence)
    if options.front.is_compatible:
        print("No change.")
    return UNCHANGED if options.unchanged_exit_77 or not options.front.is_compatible else 0


def no_upgrade(options: argparse.Namespace, sentence: str) -> int:
    """As ``unchanged``, in the words that scripts look for."""
    if not options.front.is_compatible:
        return unchanged(options, sentence)
    print(_NO_UPGRADE)
    return UNCHANGED if options.unchanged_exit_77 or getattr(options, "check", False) else 0


def staged(node: Node, taken: Taken, options: argparse.Namespace) -> int:
    """Tells what a transaction left behind, and restarts where that was asked."""
    for path in taken.etc.conflicts:
        print(f"/etc/{path}: changed here and by the release; yours stays, the new one is /usr/etc/{path}")
    for path in taken.etc.merged:
        print(f"/etc/{path}: joined with the release's")
    for note in taken.etc.notes:
        print(note)
    tell_layers(taken.layers)
    if taken.is_locked:
        print(f"{taken.version} is in slot {taken.slot}, locked: finalize-deployment lets it boot")
        return 0
    print(f"{taken.version} is in slot {taken.slot} and boots next")
    restart_if_asked(node, options)
    return 0


def tell_layers(layers: Layers) -> None:
    """One line per package, in the words of rpm-ostree."""
    rows = (
        ("Added", dict(layers.added)),
        ("Removed", dict(layers.removed)),
        ("Replaced", {name: f"{old} -> {new}" for name, (old, new) in layers.replaced.items()}),
    )
    for title, entries in rows:
        if entries:
            print(f"{title}:")
            for name, text in sorted(entries.items()):
                print(f"  {name} {text}")
    if layers.inactive:
        print(f"In the release already: {', '.join(layers.inactive)}")


def restart_if_asked(node: Node, options: argparse.Namespace) -> None:
    """Restarts, or says how."""
    if options.reboot:
        restart(node)
    elif options.front.is_compatible:
        print('Run "systemctl reboot" to start a reboot')
    else:
        print("restart to switch: systemctl reboot")


def restart(node: Node) -> None:
    """Asks systemd for an orderly restart."""
    node.runner(["systemctl", "reboot"])
