"""Commands about packages: install, uninstall, override, search, refresh-md, db, reset.

Each makes a new wish (``nestos.wire.origin``) from the one that boots next, and has it carried out as one transaction.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from nestos.base.errors import InputError, StateError
from nestos.base.log import Progress
from nestos.cli import node_live
from nestos.cli.node_answers import add_ending, command, is_locked, staged, tell_layers, unchanged
from nestos.deploy import compare, package_urls
from nestos.deploy.change import Change, Goal
from nestos.deploy.layers import PACKAGES, Permission, backend_of
from nestos.deploy.node import Node
from nestos.wire.origin import Initramfs, Layers, Origin, PackageFile

_FILE_ENDINGS = (".deb", ".rpm")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the sub-commands."""
    _add_install(subparsers)
    _add_uninstall(subparsers)
    _add_override(subparsers)
    _add_reset(subparsers)
    _add_search(subparsers)
    _add_db(subparsers)


def _add_install(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = command(
        subparsers,
        "install",
        help="lay packages on top of the release, now and on every later release",
        examples="  nestos install htop\n  nestos install --reboot ./agent_1.2_amd64.deb\n"
        "  nestos install --dry-run tcpdump strace",
    )
    parser.add_argument("packages", nargs="+", metavar="PACKAGE", help="a name, a package file, or its address")
    parser.add_argument("--uninstall", action="append", default=[], metavar="PACKAGE", help="take this one out as well")
    parser.add_argument("--idempotent", action="store_true", help="a package that is asked for already is no error")
    parser.add_argument("--allow-inactive", action="store_true", help="also what the release has already")
    parser.add_argument("--apply-live", "-A", action="store_true", help="and have it at once, where that can be")
    parser.add_argument("--download-only", action="store_true", help="fetch the packages and stage nothing")
    add_permission(parser)
    add_ending(parser)
    parser.set_defaults(act=_install)


def _add_uninstall(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = command(
        subparsers,
        "uninstall",
        help="take layered packages out again",
        examples="  nestos uninstall htop\n  nestos uninstall --all --reboot",
    )
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help="as it was installed; of a file, its name")
    parser.add_argument("--install", action="append", default=[], metavar="PACKAGE", help="lay this one as well")
    parser.add_argument("--all", action="store_true", help="every layered package")
    parser.add_argument("--idempotent", action="store_true", help="a package that is not layered is no error")
    parser.add_argument("--allow-inactive", action="store_true", help=argparse.SUPPRESS)
    add_permission(parser)
    add_ending(parser)
    parser.set_defaults(act=_uninstall)


def _add_override(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = command(
        subparsers,
        "override",
        help="remove or replace packages of the release itself",
        examples="  nestos override remove less\n  nestos override replace ./less_668-1_amd64.deb\n"
        "  nestos override reset --all",
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for name, act, help in (
        ("remove", _override_remove, "take packages of the release out"),
        ("replace", _override_replace, "put package files in place of the release's"),
        ("reset", _override_reset, "have the release's own again"),
    ):
        kind = kinds.add_parser(name, help=help, description=help)
        kind.add_argument("packages", nargs="*" if name == "reset" else "+", metavar="PACKAGE")
        if name == "reset":
            kind.add_argument("--all", "-a", action="store_true", help="every override")
        add_permission(kind)
        add_ending(kind)
        kind.set_defaults(act=act)


def _add_reset(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = command(
        subparsers,
        "reset",
        help="give up layers, overrides and initramfs settings",
        examples="  nestos reset\n  nestos reset --overlays --reboot",
    )
    parser.add_argument("--overlays", "-l", action="store_true", help="only layered packages")
    parser.add_argument("--overrides", "-o", action="store_true", help="only overrides")
    parser.add_argument("--initramfs", "-i", action="store_true", help="only initramfs settings")
    add_permission(parser)
    add_ending(parser)
    parser.set_defaults(act=_reset)


def _add_search(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    search = command(
        subparsers, "search", help="search the package sources", examples="  nestos search 'packet capture'"
    )
    search.add_argument("words", nargs="+", metavar="WORD")
    search.add_argument("--names-only", action="store_true", help="not in summaries")
    search.set_defaults(act=_search)
    refresh = command(
        subparsers, "refresh-md", help="read the package sources anew", examples="  nestos refresh-md --force"
    )
    refresh.add_argument("--force", "-f", action="store_true", help="forget what they said before")
    refresh.add_argument("--allow-unsigned", action="store_true", help="also a source without signature")
    refresh.set_defaults(act=_refresh)


def _add_db(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = command(
        subparsers,
        "db",
        help="ask which packages slots and commits have",
        examples="  nestos db list | grep openssl\n  nestos db diff              what runs against what boots next\n"
        "  nestos db diff a b",
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    diff = kinds.add_parser("diff", help="how the packages of two differ", description="slots, versions or commits")
    diff.add_argument("revisions", nargs="*", metavar="REVISION", help="a slot or a commit; default: booted, next")
    diff.add_argument("--format", "-F", choices=("block", "diff", "json"), default="block")
    diff.add_argument("--base", action="store_true", help="of the releases alone, without what is layered")
    diff.add_argument("--changelogs", "-c", action="store_true", help=argparse.SUPPRESS)
    diff.add_argument("--advisories", "-a", action="store_true", help=argparse.SUPPRESS)
    diff.set_defaults(act=_db_diff)
    listing = kinds.add_parser("list", help="packages and versions", description="of a slot or commit")
    listing.add_argument("revision", nargs="?", default="", metavar="REVISION")
    listing.add_argument("patterns", nargs="*", metavar="NAME", help="only these; * stands for anything")
    listing.set_defaults(act=_db_list)
    version = kinds.add_parser("version", help="a digest of names and versions", description="of a slot or commit")
    version.add_argument("revision", nargs="?", default="", metavar="REVISION")
    version.set_defaults(act=_db_version)


def add_permission(parser: argparse.ArgumentParser) -> None:
    """What may be allowed in the very command that takes packages."""
    parser.add_argument("--allow-unsigned", action="store_true", help="also from a source without signature")
    parser.add_argument("--cache-only", "-C", action="store_true", help="only with what was fetched before")


def permission_of(options: argparse.Namespace, *, allow_inactive: bool = True) -> Permission:
    """What the operator allowed."""
    return Permission(
        allow_unsigned=options.allow_unsigned, cache_only=options.cache_only, allow_inactive=allow_inactive
    )


def sorted_out(change: Change, node: Node, words: list[str]) -> tuple[list[str], tuple[PackageFile, ...]]:
    """Names, and package files taken over, of what an operator gave."""
    names, files = [], []
    for word in words:
        if word.startswith(("http://", "https://")):
            files.append(package_urls.fetch(word, node.folder / PACKAGES / "fetched"))
        elif "/" in word or word.endswith(_FILE_ENDINGS):
            if not Path(word).is_file():
                raise InputError(f"{word} is no file")
            files.append(Path(word).absolute())
        else:
            names.append(word)
    kept = change.keep(files)
    package_urls.forget(node.folder / PACKAGES / "fetched")
    return names, kept


def _install(node: Node, options: argparse.Namespace) -> int:
    def wish(origin: Origin, change: Change) -> Origin:
        names, files = sorted_out(change, node, options.packages)
        known = [name for name in names if name in origin.packages]
        if known and not options.idempotent:
            raise InputError(f"already asked for: {', '.join(known)}", hint="with --idempotent that is no error")
        if options.uninstall:
            origin = origin.uninstall(options.uninstall)
        return origin.install(packages=names, files=files)

    return _carry_out(node, options, wish, allow_inactive=options.allow_inactive)


def _uninstall(node: Node, options: argparse.Namespace) -> int:
    def wish(origin: Origin, change: Change) -> Origin:
        layered = [*origin.packages, *(file.name for file in origin.local)]
        wanted = layered if options.all else options.packages
        if options.idempotent:
            wanted = [name for name in wanted if name in layered]
        names, files = sorted_out(change, node, options.install)
        return origin.uninstall(wanted).install(packages=names, files=files)

    if not options.packages and not options.all:
        raise InputError("say which packages, or --all")
    return _carry_out(node, options, wish)


def _override_remove(node: Node, options: argparse.Namespace) -> int:
    return _carry_out(node, options, lambda origin, _: origin.override_remove(options.packages))


def _override_replace(node: Node, options: argparse.Namespace) -> int:
    def wish(origin: Origin, change: Change) -> Origin:
        names, files = sorted_out(change, node, options.packages)
        if names:
            raise InputError(f"a replacement is a package file or its address: {', '.join(names)}")
        return origin.override_replace(files)

    return _carry_out(node, options, wish)


def _override_reset(node: Node, options: argparse.Namespace) -> int:
    def wish(origin: Origin, _: Change) -> Origin:
        every = [*origin.removals, *(file.name for file in origin.replacements)]
        return origin.override_reset(every if options.all else options.packages)

    if not options.packages and not options.all:
        raise InputError("say which packages, or --all")
    return _carry_out(node, options, wish)


def _reset(node: Node, options: argparse.Namespace) -> int:
    every = not (options.overlays or options.overrides or options.initramfs)

    def wish(origin: Origin, _: Change) -> Origin:
        return Origin(
            packages=() if every or options.overlays else origin.packages,
            local=() if every or options.overlays else origin.local,
            removals=() if every or options.overrides else origin.removals,
            replacements=() if every or options.overrides else origin.replacements,
            initramfs=Initramfs() if every or options.initramfs else origin.initramfs,
            unknown=origin.unknown,
        )

    return _carry_out(node, options, wish)


def _carry_out(
    node: Node,
    options: argparse.Namespace,
    wish: Callable[[Origin, Change], Origin],
    *,
    allow_inactive: bool = True,
) -> int:
    change = Change(node, progress=Progress())
    with change.lock(options.command):
        goal = Goal(
            origin=wish(change.current().origin, change),
            permission=permission_of(options, allow_inactive=allow_inactive),
            is_locked=is_locked(options),
        )
        if options.dry_run or getattr(options, "download_only", False):
            plan = change.preview(goal) if options.dry_run else change.download(goal)
            tell_layers(plan.layers)
            if plan.layers == Layers():
                print("the release as it is")
            return 0
        status = _take(node, change, goal, options)
        if getattr(options, "apply_live", False):
            status = min(status, node_live.apply(node, options))
        return status


def _take(node: Node, change: Change, goal: Goal, options: argparse.Namespace) -> int:
    try:
        return staged(node, change.take(goal), options)
    except StateError as error:
        if error.kind != "unchanged":
            raise
        return unchanged(options, str(error))


def _search(node: Node, options: argparse.Namespace) -> int:
    found = backend_of(node).search(options.words, names_only=options.names_only)
    for package in found:
        print(f"{package.name} : {package.summary}")
    if not found:
        print("no package found; the sources are read anew with: refresh-md")
    return 0 if found else 1


def _refresh(node: Node, options: argparse.Namespace) -> int:
    change = Change(node, progress=Progress())
    with change.lock(options.command):
        backend = backend_of(node)
        if options.force:
            backend.forget(files=False, indexes=True)
        backend.refresh(allow_unsigned=options.allow_unsigned)
    print("the package sources were read")
    return 0


def _db_diff(node: Node, options: argparse.Namespace) -> int:
    _require_known(options)
    match options.revisions:
        case []:
            old, new = compare.usual(node)
        case [new]:
            old = "booted"
        case [old, new]:
            pass
        case _:
            raise InputError("two can be compared, not more")
    differ = compare.difference(*(compare.packages(node, word, base=options.base) for word in (old, new)))
    commits = [compare.checksum_of(node, word, base=options.base) for word in (old, new)]
    if options.format == "json" and options.front.is_compatible:
        print(json.dumps(compare.compatible_document(differ, old=commits[0], new=commits[1]), indent=2))
    elif options.format == "json":
        print(json.dumps(compare.document(differ), indent=2))
    else:
        if options.front.is_compatible:
            for words, word, commit in zip(("from:", "to:  "), (old, new), commits, strict=True):
                print(f"ostree diff commit {words} {word if word == commit else f'{word} ({commit})'}")
        print("\n".join(compare.lines(differ, is_block=options.format == "block")) or "the packages are the same")
    return 0


def _require_known(options: argparse.Namespace) -> None:
    """Refuses to leave out what was asked for: neither is on a node, or in an index of packages."""
    if options.changelogs:
        raise InputError(
            "a release carries no documentation, and Debian's changelogs are files in it",
            hint="of a layered package: /usr/share/doc/NAME; of others: apt changelog NAME, on another machine",
            kind="unsupported",
        )
    if options.advisories:
        raise InputError(
            "the indexes of Debian's packages name no advisories",
            hint="look a package and its versions up in Debian's security tracker",
            kind="unsupported",
        )


def _db_list(node: Node, options: argparse.Namespace) -> int:
    for name, version in sorted(compare.packages(node, options.revision or "booted").items()):
        if not options.patterns or any(Path(name).match(pattern) for pattern in options.patterns):
            print(f"{name}-{version}")
    return 0


def _db_version(node: Node, options: argparse.Namespace) -> int:
    print(compare.digest(compare.packages(node, options.revision or "booted")))
    return 0
