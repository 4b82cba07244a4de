"""``nestos release``: releases over a release folder: made, published, handed out, held, marked and taken back."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from nestos.base.clock import SystemClock
from nestos.base.errors import InputError, StateError
from nestos.cli import releasing, rollout
from nestos.updates import model
from nestos.updates.folder import ReleaseFolder, Settings
from nestos.updates.model import Build, Release
from nestos.wire.stream import PARTS, Artifact

_EPILOG = """\
examples:
  nestos release init --url=https://updates.example.org/          make the folder and its keys
  nestos release create stable --compose=BUILD                    a draft from what nestos compose left in BUILD
  nestos release publish stable 13.20261123.0                     listed and signed; no node is led to it yet
  nestos release rollout stable 13.20261123.0 --hours=48          every node within two days
  nestos release pause stable 13.20261123.0                       hold it at the share it has reached
  nestos release withdraw stable 13.20261123.0 --reason="loses the network"
  nestos release rotate-key timestamp --root-keys=/media/usb      new keys for a role
  nestos release list stable

The folder is --folder, $NESTOS_RELEASES or ./releases. Serve its current/public with any web server, and the graph with
nestos updates serve. Every change is one transaction and one line of audit.jsonl. See docs/updates.md.
"""
_ARCHITECTURES = re.compile(r"[^/]+/([^/]+)/[^/]+")

Handler = Callable[[argparse.Namespace], int]


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the sub-command and its own."""
    parser = subparsers.add_parser(
        "release",
        help="publish releases and lead nodes to them",
        description="Publish releases of a stream, and say which nodes are led to them and when.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="ACTION", required=True)
    _register_folder_actions(commands)
    _register_release_actions(commands)
    rollout.register(commands)


def _register_folder_actions(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    init = releasing.add_action(commands, "init", "make a release folder, with keys for every role", _init)
    init.add_argument("--url", required=True, help="address at which current/public will be served")
    init.add_argument("--root-share", default="2/3", metavar="M/N", help="M of N root keys must sign (default: 2/3)")
    init.add_argument("--targets-share", default="1/1", metavar="M/N", help="the same for targets (default: 1/1)")
    refresh = releasing.add_action(
        commands, "refresh", "sign anew what expires soon; run it from a timer, daily", _refresh
    )
    refresh.add_argument("--renew-root", action="store_true", help="the root metadata too; needs the root keys")
    refresh.add_argument("--root-keys", type=Path, metavar="FOLDER", help="where the root keys are")
    rotate = releasing.add_action(commands, "rotate-key", "give a role new keys and drop its old ones", _rotate)
    rotate.add_argument("role", metavar="ROLE", help="root, targets, snapshot or timestamp")
    rotate.add_argument("--root-keys", type=Path, metavar="FOLDER", help="where the root keys are")
    recover = releasing.add_action(
        commands, "recover", "go on from a backup that was restored: halts every rollout, skips versions", _recover
    )
    recover.add_argument(
        "--skip", type=int, default=1000, metavar="N", help="more changes than were lost (default: %(default)s)"
    )
    listing = releasing.add_action(commands, "list", "list the releases of a stream, or the streams", _list)
    listing.add_argument("stream", nargs="?", metavar="STREAM")
    listing.add_argument("--json", action="store_true", help="for programs")


def _register_release_actions(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    create = releasing.add_action(commands, "create", "make a draft, or add an architecture or files to it", _create)
    create.add_argument("stream", metavar="STREAM")
    create.add_argument("version", nargs="?", metavar="VERSION", help="default: the compose's")
    create.add_argument("--compose", type=Path, metavar="FOLDER", help="build folder of nestos compose: release.json")
    create.add_argument("--arch", help="architecture; default: the compose's")
    create.add_argument("--commit", default="", help="OSTree commit; default: the compose's")
    create.add_argument("--image", default="", help="container image with its tag")
    create.add_argument("--digest-ref", default="", help="container image with its digest")
    create.add_argument(
        "--artifact", action="append", default=[], metavar="PLATFORM/FORMAT/PART=FILE", help="PART: " + ", ".join(PARTS)
    )
    create.add_argument(
        "--artifact-url", default="", help="address of the artifacts' folder; default: artifacts/ there"
    )
    for name, help_text, handler in (
        ("publish", "list and sign a draft; no node is led to it before its rollout", _publish),
        ("show", "tell all about a release", _show),
    ):
        releasing.add_release_action(commands, name, help_text, handler)
    for name, help_text, handler in (
        ("barrier", "make a release one that no node jumps over", _barrier),
        ("deadend", "make a release one that no way leads away from", _deadend),
    ):
        mark = releasing.add_release_action(commands, name, help_text, handler)
        mark.add_argument("--reason", default="", help="a sentence or an address; nodes show it")
        mark.add_argument("--remove", action="store_true", help="it is none any more")
    withdraw = releasing.add_release_action(commands, "withdraw", "take a release back; a draft is dropped", _withdraw)
    withdraw.add_argument("--reason", default="", help="why; needed once it was published")


# The folder


def _init(options: argparse.Namespace) -> int:
    path = releasing.folder_path(options.folder)
    if (path / "current").is_symlink():
        raise StateError(f"{path} is a release folder already")
    signing, keys = releasing.signing(options)
    policy = signing.Policy(
        root=signing.Share(**_share(options.root_share)), targets=signing.Share(**_share(options.targets_share))
    )
    folder = ReleaseFolder(path, clock=SystemClock())
    path.mkdir(parents=True, exist_ok=True)
    metadata = signing.start(keys, policy=policy, now=datetime.now(UTC))
    folder.init(Settings(base_url=options.url), metadata=metadata, change=releasing.reason_of(options, "init"))
    folder.change(releasing.reason_of(options, "refresh"), seal=releasing.sealing(options))
    held = options.keys or path / "keys"
    print(f"made {path}; serve {path}/current/public at {options.url}")
    print(f"nodes trust {path}/current/public/metadata/1.root.json: put it into their image")
    print(f"carry {held}/root to a safe place, best the keys apart from each other: only rotation needs them")
    return 0


def _refresh(options: argparse.Namespace) -> int:
    prepare = None
    if options.renew_root:
        signing, keys = releasing.signing(options)
        prepare = partial(signing.renew_root, keys=keys, policy=signing.Policy(), now=datetime.now(UTC))
    folder = releasing.opened(options)
    folder.change(releasing.reason_of(options, "refresh"), seal=releasing.sealing(options, prepare=prepare))
    _print_expiries(options, folder)
    return 0


def _rotate(options: argparse.Namespace) -> int:
    signing, keys = releasing.signing(options)
    prepare = partial(signing.rotate, role=options.role, keys=keys, policy=signing.Policy(), now=datetime.now(UTC))
    folder = releasing.opened(options)
    change = releasing.reason_of(options, "rotate-key", subject=options.role)
    folder.change(change, seal=releasing.sealing(options, prepare=prepare))
    print(f"the role {options.role} has new keys; nodes follow by themselves")
    _print_expiries(options, folder)
    return 0


def _recover(options: argparse.Namespace) -> int:
    """Nodes refuse metadata older than those they saw; and what was halted after the backup must not be offered."""
    if options.skip < 1:
        raise InputError("--skip: one at least")
    folder, change = releasing.opened(options), releasing.reason_of(options, "recover")
    folder.change(change, seal=releasing.sealing(options, skipped=options.skip))
    reason = "the server was restored from a backup; resume what is known to be good"
    for name in folder.streams():
        for release in folder.read(name).releases:
            if release.rollout is None or release.halted is not None:
                continue
            halt = partial(model.halt, version=release.version, reason=reason, now=releasing.now())
            subject = f"{name} {release.version}"
            folder.change(
                replace(change, action="halt", subject=subject, reason=reason),
                seal=releasing.sealing(options),
                name=name,
                edit=halt,
            )
            print(f"halted {subject}: nestos release resume {subject}")
    _print_expiries(options, folder)
    return 0


def _print_expiries(options: argparse.Namespace, folder: ReleaseFolder) -> None:
    signing, _ = releasing.signing(options)
    known = {path.name: path.read_bytes() for path in (folder.public / "metadata").iterdir()}
    for role, when in signing.expiries(known).items():
        print(f"{role:10} expires {when:%Y-%m-%d %H:%M} UTC")


def _share(text: str) -> dict[str, int]:
    match = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
    if not match:
        raise InputError(f'"{text}" is no share of keys: M/N, such as 2/3')
    return {"threshold": int(match.group(1)), "keys": int(match.group(2))}


# Releases


def _create(options: argparse.Namespace) -> int:
    composed = _composed(options.compose) if options.compose else {}
    options.version = options.version or composed.get("version")
    match = _ARCHITECTURES.fullmatch(composed.get("ref", ""))
    architecture = options.arch or (match.group(1) if match else None)
    if not options.version or not architecture:
        raise InputError(
            "a version and an architecture are needed", hint="give VERSION and --arch, or --compose=FOLDER"
        )
    folder = releasing.opened(options)
    model.check_name(options.version, what="version")
    model.check_name(options.stream, what="stream")
    base = options.artifact_url or f"{folder.settings().base_url.rstrip('/')}/artifacts"
    place = f"{options.stream}/{options.version}/{architecture}"
    artifacts: dict[str, dict[str, dict[str, Artifact]]] = {}
    for text in options.artifact:
        (platform, form, part), file = _artifact(text)
        made = Artifact(location=f"{base.rstrip('/')}/{place}/{file.name}", sha256=_sha256(file))
        artifacts.setdefault(platform, {}).setdefault(form, {})[part] = made
    build = Build(
        commit=options.commit or composed.get("commit", ""),
        image=options.image,
        digest_ref=options.digest_ref,
        artifacts=artifacts,
    )
    status = releasing.carry_out(
        options, "create", lambda held: model.create(held, options.version, {architecture: build}, now=releasing.now())
    )
    if artifacts:
        print(f"put the files at {base.rstrip('/')}/{place}/")
    return status


def _composed(folder: Path) -> dict[str, Any]:
    """What ``nestos compose`` wrote of a release; the same file as ``nestos.compose.release`` reads."""
    file = folder / "release.json" if folder.is_dir() else folder
    try:
        document = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{file} is no release of nestos compose: {error}") from error
    if not isinstance(document, dict) or not all(
        isinstance(document.get(k), str) for k in ("version", "ref", "commit")
    ):
        raise InputError(f"{file} is no release of nestos compose: version, ref or commit is missing")
    return document


def _artifact(text: str) -> tuple[list[str], Path]:
    name, separator, file = text.partition("=")
    parts = name.split("/")
    if not separator or len(parts) != 3 or parts[2] not in PARTS:
        raise InputError(
            f"--artifact={text}: expected PLATFORM/FORMAT/PART=FILE, such as metal/raw.xz/disk=nestos.raw.xz"
        )
    return parts, Path(file)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _publish(options: argparse.Namespace) -> int:
    return releasing.carry_out(
        options, "publish", lambda held: model.publish(held, options.version, now=releasing.now())
    )


def _barrier(options: argparse.Namespace) -> int:
    reason = None if options.remove else options.reason
    return releasing.carry_out(
        options, "barrier", lambda held: model.barrier(held, options.version, reason=reason, now=releasing.now())
    )


def _deadend(options: argparse.Namespace) -> int:
    reason = None if options.remove else options.reason
    return releasing.carry_out(options, "deadend", lambda held: model.deadend(held, options.version, reason=reason))


def _withdraw(options: argparse.Namespace) -> int:
    return releasing.carry_out(
        options, "withdraw", lambda held: model.withdraw(held, options.version, reason=options.reason)
    )


# Telling


def _list(options: argparse.Namespace) -> int:
    folder = releasing.opened(options)
    if not options.stream:
        names = list(folder.streams())
        print(json.dumps(names) if options.json else "\n".join(names) or "no stream yet")
        return 0
    held = folder.read(options.stream)
    if options.json:
        print(json.dumps([_document(release) for release in reversed(held.releases)], indent=2))
        return 0
    for release in reversed(held.releases):
        print(releasing.describe(release, at=releasing.now()))
    if not held.releases:
        print(f"{options.stream} has no release yet")
    return 0


def _show(options: argparse.Namespace) -> int:
    release = releasing.opened(options).read(options.stream).require(options.version)
    print(releasing.describe(release, at=releasing.now()))
    for architecture, build in sorted(release.builds.items()):
        print(f"  {architecture}: {build.commit or build.digest_ref}")
        for platform, formats in sorted(build.artifacts.items()):
            for form, parts in sorted(formats.items()):
                for part, artifact in parts.items():
                    print(f"    {platform} {form} {part}: {artifact.location}")
                    print(f"      sha256 {artifact.sha256}")
    return 0


def _document(release: Release) -> dict[str, Any]:
    return {
        "version": release.version,
        "phase": str(release.phase),
        "architectures": {name: build.commit or build.digest_ref for name, build in sorted(release.builds.items())},
        "rollout": model.describe_rollout(release, now=releasing.now()),
        "is_paused": release.paused is not None,
        "barrier": release.barrier,
        "deadend": release.deadend,
        "withdrawn": release.withdrawn,
    }
