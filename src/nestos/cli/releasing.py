"""What the release commands share: which folder is meant, the keys that sign, one change, a release's line."""

from __future__ import annotations

import argparse
import getpass
import importlib
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nestos.base.clock import SystemClock
from nestos.base.errors import StateError
from nestos.updates import model
from nestos.updates.folder import Change, ReleaseFolder, Seal
from nestos.updates.model import Phase, Release, Stream

Actions = argparse._SubParsersAction  # argparse has no public name for it
Handler = Callable[[argparse.Namespace], int]


def add_action(
    commands: Actions[argparse.ArgumentParser], name: str, help_text: str, handler: Handler
) -> argparse.ArgumentParser:
    """A command over a release folder."""
    described = help_text[0].upper() + help_text[1:] + "."
    parser = commands.add_parser(name, help=help_text, description=described)
    parser.add_argument("--folder", type=Path, help="release folder; default: $NESTOS_RELEASES or ./releases")
    parser.add_argument("--keys", type=Path, metavar="FOLDER", help="private keys; default: keys in the release folder")
    parser.set_defaults(handler=handler)
    return parser


def add_release_action(
    commands: Actions[argparse.ArgumentParser], name: str, help_text: str, handler: Handler
) -> argparse.ArgumentParser:
    """A command over one release."""
    parser = add_action(commands, name, help_text, handler)
    parser.add_argument("stream", metavar="STREAM")
    parser.add_argument("version", metavar="VERSION")
    return parser


def folder_path(given: Path | None) -> Path:
    """The release folder that a command works on."""
    return given or Path(os.environ.get("NESTOS_RELEASES") or "releases")


def opened(options: argparse.Namespace) -> ReleaseFolder:
    """The release folder itself."""
    return ReleaseFolder(folder_path(options.folder), clock=SystemClock())


def signing(options: argparse.Namespace) -> tuple[Any, Any]:
    """The signing module and the keys; both need python-tuf, which other commands do without."""
    try:
        module = importlib.import_module("nestos.updates.signing")
        keys = importlib.import_module("nestos.updates.keys")
    except ImportError as error:
        raise StateError(
            f"release metadata cannot be signed here: {error.name} is missing",
            hint="install it: pip install 'nestos[server]', or the packages python3-tuf and python3-cryptography",
        ) from error
    folders = [options.keys or folder_path(options.folder) / "keys"]
    if getattr(options, "root_keys", None):
        folders.append(options.root_keys)
    return module, keys.KeyFolder(*folders)


def sealing(
    options: argparse.Namespace,
    *,
    prepare: Callable[[Mapping[str, bytes]], Mapping[str, bytes]] | None = None,
    skipped: int = 0,
) -> Seal:
    """What signs a change; ``prepare`` may change the metadata so far, ``skipped`` versions are left out."""
    module, keys = signing(options)

    def sealed(published: Mapping[str, bytes], known: Mapping[str, bytes]) -> Mapping[str, bytes]:
        ready = prepare(known) if prepare else known
        made: Mapping[str, bytes] = module.seal(
            published, ready, keys=keys, policy=module.Policy(), now=datetime.now(UTC), skipped=skipped
        )
        return made

    return sealed


def reason_of(options: argparse.Namespace, action: str, *, subject: str = "") -> Change:
    """Who does what, and why, for the audit log."""
    about = subject or " ".join(filter(None, (getattr(options, "stream", ""), getattr(options, "version", ""))))
    who = os.environ.get("SUDO_USER") or getpass.getuser()
    return Change(who=who, action=action, subject=about, reason=getattr(options, "reason", "") or "")


def carry_out(options: argparse.Namespace, action: str, edit: Callable[[Stream], Stream]) -> int:
    """One change of a stream; prints what became of the release."""
    folder = opened(options)
    held = folder.change(reason_of(options, action), seal=sealing(options), name=options.stream, edit=edit)
    found = [one for one in held.releases if one.version == options.version] if held else []
    print(describe(found[0], at=now()) if found else f"{options.version} is gone")
    return 0


def now() -> int:
    """Seconds since 1970."""
    return int(datetime.now(UTC).timestamp())


def describe(release: Release, *, at: int) -> str:
    """A release in one line, ``at`` seconds since 1970."""
    words = [f"{release.version:24} {release.phase:10} {', '.join(sorted(release.builds)) or '-':16}"]
    if release.phase is Phase.PUBLISHED:
        words.append(model.describe_rollout(release, now=at))
    for name, reason in (("barrier", release.barrier), ("dead end", release.deadend)):
        if reason is not None:
            words.append(f"{name}{': ' + reason if reason else ''}")
    if release.withdrawn:
        words.append(release.withdrawn)
    return "; ".join(words)
