"""Commands that take and leave releases: upgrade, deploy, rollback, pin, cleanup, cancel."""

from __future__ import annotations

import argparse
import os
import shutil
import signal

from nestos.base.errors import InputError
from nestos.base.log import Progress
from nestos.cli.node_answers import (
    add_ending,
    command,
    is_locked,
    no_upgrade,
    restart,
    restart_if_asked,
    staged,
    unchanged,
)
from nestos.cli.node_packages import add_permission, permission_of, sorted_out
from nestos.deploy import finalize, refspec, store
from nestos.deploy.change import Change, slot_of
from nestos.deploy.layers import backend_of
from nestos.deploy.node import Node
from nestos.deploy.release import Verdict
from nestos.deploy.transaction import holder
from nestos.deploy.upgrade import Offer, Options, Upgrade


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the sub-commands."""
    _add_upgrade(subparsers)
    _add_deploy(subparsers)
    _add_rebase(subparsers)
    _add_rollback(subparsers)
    _add_pins(subparsers)
    _add_cleanup(subparsers)


def _add_upgrade(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = command(
        subparsers,
        "upgrade",
        help="take the newest release of the branch into the passive slot",
        examples="  nestos upgrade --check\n  nestos upgrade --dry-run\n  nestos upgrade --reboot",
        aliases=["update"],
    )
    parser.add_argument("--check", action="store_true", help="only say whether there is one; exit status 77: no")
    parser.add_argument("--preview", action="store_true", help="the same, here")
    parser.add_argument(
        "--allow-downgrade", action="store_true", help="take what the branch offers even if it is older"
    )
    parser.add_argument("--download-only", action="store_true", help="fetch it and stage nothing")
    _add_taking_options(parser)
    parser.set_defaults(act=_upgrade)


def _add_deploy(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = command(
        subparsers,
        "deploy",
        help="take one version of the branch's history, older or newer",
        examples="  nestos deploy 13.20261123.0\n  nestos deploy --dry-run 13.20261123.0",
    )
    parser.add_argument("version", metavar="VERSION", help="the version, as nestos status prints it, or a commit")
    parser.add_argument("--register-driver", metavar="NAME", help=argparse.SUPPRESS)
    parser.add_argument("--disallow-downgrade", action="store_true", help="refuse one that is older than what runs")
    _add_taking_options(parser)
    parser.set_defaults(act=_deploy)


def _add_rebase(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = command(
        subparsers,
        "rebase",
        help="follow another branch, beginning with its newest release",
        examples="  nestos rebase testing                     the same branch but for its last part\n"
        "  nestos rebase nestos/x86_64/testing --reboot\n  nestos rebase nestos:nestos/x86_64/testing 14.20261201.0",
    )
    parser.add_argument("refspec", nargs="?", default="", metavar="BRANCH", help="BRANCH, REMOTE:BRANCH or a stream")
    parser.add_argument("revision", nargs="?", default="", metavar="REVISION", help="a version or commit of it")
    parser.add_argument("--branch", "-b", default="", metavar="BRANCH", help="the same as an option")
    parser.add_argument("--remote", "-m", default="", metavar="REMOTE", help="the node's one source")
    parser.add_argument("--disallow-downgrade", action="store_true", help="refuse a release older than what runs")
    parser.add_argument("--download-only", action="store_true", help="fetch it and stage nothing")
    for word in ("--skip-purge", "--experimental"):
        parser.add_argument(word, action="store_true", help=argparse.SUPPRESS)
    _add_taking_options(parser)
    parser.set_defaults(act=_rebase)


def _add_taking_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--allow-denied", action="store_true", help="take a release although it failed on this node")
    parser.add_argument("--install", action="append", default=[], metavar="PACKAGE", help="lay this one as well")
    parser.add_argument("--uninstall", action="append", default=[], metavar="PACKAGE", help="and without this one")
    add_permission(parser)
    add_ending(parser)


def _add_rollback(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = command(
        subparsers,
        "rollback",
        help="boot the other good slot next, or give up what is staged",
        examples="  nestos rollback\n  nestos rollback --reboot",
    )
    add_ending(parser, writes=False)
    parser.set_defaults(act=_rollback)


def _add_pins(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    for name, is_pinned, help in (
        ("pin", True, "keep a slot from being written by the next transactions"),
        ("unpin", False, "give a pinned slot free"),
    ):
        parser = command(subparsers, name, help=help, examples=f"  nestos {name} b")
        parser.add_argument("slot", metavar="SLOT", help="a or b")
        parser.add_argument("--unchanged-exit-77", action="store_true", help=argparse.SUPPRESS)
        parser.set_defaults(act=_pin, is_pinned=is_pinned)


def _add_cleanup(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = command(
        subparsers,
        "cleanup",
        help="give up what is staged, and remove what was fetched",
        examples="  nestos cleanup --pending\n  nestos cleanup --base --repomd",
    )
    parser.add_argument("--pending", "-p", action="store_true", help="what is staged and never booted")
    parser.add_argument("--base", "-b", action="store_true", help="half-made trees")
    parser.add_argument("--repomd", "-m", action="store_true", help="package indexes and package files")
    parser.add_argument("--rollback", "-r", action="store_true", help="accepted: a node keeps its second slot")
    parser.add_argument("--os", help=argparse.SUPPRESS)
    parser.set_defaults(act=_cleanup)
    cancel = command(subparsers, "cancel", help="end the transaction that runs", examples="  nestos cancel")
    cancel.set_defaults(act=_cancel)
    reload = command(subparsers, "reload", help="read the configuration anew", examples="  nestos reload")
    reload.set_defaults(act=_reload)


def _upgrade(node: Node, options: argparse.Namespace) -> int:
    upgrade = Upgrade(node, progress=Progress())
    allowed = Options(allow_downgrade=options.allow_downgrade, allow_denied=options.allow_denied)
    only_look = options.check or options.preview
    with upgrade.lock("upgrade --check" if only_look else "upgrade"):
        offer = upgrade.examine(options=allowed)
        if only_look:
            return _tell(offer, options)
        if options.download_only and offer.need is not None:
            return _download(upgrade, offer, then="upgrade")
        return _take(node, upgrade, offer, options)


def _deploy(node: Node, options: argparse.Namespace) -> int:
    if options.register_driver:
        return 0  # there is one agent, and it asks before it restarts
    options.version = options.version.rpartition("=")[2]  # rpm-ostree's version=... and revision=...
    upgrade = Upgrade(node, progress=Progress())
    with upgrade.lock(f"deploy {options.version}"):
        # A slot that is good already could not be kept from booting: under a lock it is written anew.
        anew = options.install or options.uninstall or is_locked(options)
        slot = None if anew else upgrade.held(options.version)
        if slot is not None and slot is upgrade.follows():
            return unchanged(options, f"{options.version} is in slot {slot}, which boots next already")
        if slot is not None:
            return _go_back(node, upgrade, options)
        allowed = _allowed(options)
        offer = upgrade.examine(version=options.version, options=allowed)
        return _take(node, upgrade, offer, options)


def _rebase(node: Node, options: argparse.Namespace) -> int:
    upgrade = Upgrade(node, progress=Progress())
    with upgrade.lock("rebase"):
        ref = refspec.branch(
            options.refspec,
            branch=options.branch,
            remote=options.remote,
            current=upgrade.followed(),
            own_remote=store.REMOTE,
        )
        allowed = _allowed(options)
        version = options.revision.rpartition("=")[2]
        offer = upgrade.examine(version=version, ref=ref, options=allowed)
        if options.download_only and offer.need is not None:
            return _download(upgrade, offer, then=f"rebase {ref}")
        return _take(node, upgrade, offer, options)


def _download(upgrade: Upgrade, offer: Offer, *, then: str) -> int:
    upgrade.download(offer)
    print(f"{offer.release.version} is downloaded; nestos {then} takes it")
    return 0


def _allowed(options: argparse.Namespace) -> Options:
    """Of a command that names what it wants: older is fine unless it says otherwise."""
    forbidden = bool(options.disallow_downgrade)
    return Options(allow_denied=options.allow_denied, allow_downgrade=not forbidden, forbid_downgrade=forbidden)


def _take(node: Node, upgrade: Upgrade, offer: Offer, options: argparse.Namespace) -> int:
    if offer.verdict is Verdict.UNCHANGED:
        return no_upgrade(options, f"no update: {offer.release.version} is what runs")
    if offer.verdict is Verdict.STAGED:
        return _staged_already(node, offer, options)
    if options.dry_run:
        steps = upgrade.plan(offer, is_locked=is_locked(options))
        print("\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1)))
        return 0
    origin = None
    if options.install or options.uninstall:
        change = Change(node, progress=Progress())
        names, files = sorted_out(change, node, options.install)
        origin = change.current().origin.uninstall(options.uninstall).install(packages=names, files=files)
    allowed, locked = permission_of(options), is_locked(options)
    return staged(node, upgrade.take(offer, origin=origin, permission=allowed, is_locked=locked), options)


def _staged_already(node: Node, offer: Offer, options: argparse.Namespace) -> int:
    """It is in its slot: what is left is to lock it, or to let it boot."""
    version = offer.release.version
    if is_locked(options) and not offer.is_locked and not options.dry_run:
        return staged(node, finalize.lock(node), options)
    if options.reboot and not options.dry_run:
        if offer.is_locked:
            finalize.finalize(node, checksum=offer.release.commit, allow_unlocked=False)
        print(f"{version} is staged already and boots next")
        restart(node)
        return 0
    if offer.is_locked:
        return no_upgrade(options, f"{version} is staged already, locked: finalize-deployment lets it boot")
    return no_upgrade(options, f"{version} is staged already and boots next")


def _tell(offer: Offer, options: argparse.Namespace) -> int:
    if offer.verdict is Verdict.UNCHANGED:
        return no_upgrade(options, f"no update: {offer.release.version} is what runs")
    if offer.verdict is Verdict.STAGED:
        how = "locked" if offer.is_locked else "and boots next"
        return no_upgrade(options, f"no update: {offer.release.version} is staged already {how}")
    size = f", at most {offer.need.fetched_bytes / 1e6:.1f} MB" if offer.need else ""
    print(f"available: {offer.release.version} ({offer.release.commit}){size}")
    return 0


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
    restart_if_asked(node, options)
    return 0


def _pin(node: Node, options: argparse.Namespace) -> int:
    change = Change(node, progress=Progress())
    with change.lock(options.command):
        if not change.pin(slot_of(options.slot), pinned=options.is_pinned):
            return unchanged(options, f"slot {options.slot} is so already")
    print(f"slot {options.slot} is {'pinned' if options.is_pinned else 'free'}")
    return 0


def _cleanup(node: Node, options: argparse.Namespace) -> int:
    if not (options.pending or options.base or options.repomd or options.rollback):
        raise InputError("say what: --pending, --base or --repomd")
    change = Change(node, progress=Progress())
    with change.lock("cleanup"):
        if options.pending:
            dropped = change.drop_pending()
            print(f"{dropped.version} in slot {dropped.slot} was given up" if dropped else "nothing is staged")
        if options.base:
            shutil.rmtree(node.folder / "staging", ignore_errors=True)
        if options.repomd:
            backend_of(node).forget(files=True, indexes=True)
    if options.rollback:
        print("the other slot stays: a node always has two")
    return 0


def _cancel(node: Node, _options: argparse.Namespace) -> int:
    found = holder(node.lock)
    if found is None or found.pid <= 0:
        print("no transaction runs")
        return 0
    os.kill(found.pid, signal.SIGTERM)
    print(f"told to end: {found}")
    return 0


def _reload(_node: Node, _options: argparse.Namespace) -> int:
    print("every command reads the configuration when it starts")
    return 0
