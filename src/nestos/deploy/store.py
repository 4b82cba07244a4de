"""The node's OSTree repository: what the server offers, what is here already, what must be fetched.

It lives under /var/lib/nestos/repo and is only a cache with signatures: lost or damaged, it is filled again from the
running slot and the server. Nothing here writes to a slot.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from nestos.base.errors import (
    CommandError,
    InputError,
    NestosError,
    NetworkError,
    SpaceError,
    StateError,
    VerificationError,
)
from nestos.base.log import Progress
from nestos.deploy import config, release
from nestos.deploy.node import Node
from nestos.deploy.release import Release
from nestos.host.process import Completed, Runner, RunOptions
from nestos.ostree.repository import Repository

REMOTE = "nestos"
LAYERED = "local/layered"
"""Branches of commits with layers, until the slots' own names keep them."""

_SEED = "local/seed"
# As every tree has them (the compose sees to it): objects are named by owner and mode too.
_BOOT_FILE_MODES = {"vmlinuz": 0o644, "initramfs.img": 0o600}
_DEPLOYED = "deployed"
_HISTORY_WALKED = 1000  # commits; more is a broken chain, not a history
_MARGIN_BYTES = 64 * 1024 * 1024  # left free in /var besides what an update needs
_SEED_FACTOR = 1.2  # of what the new tree needs: files of the running one that the new one does not have
_SPOKEN_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Need:
    """What an update takes: objects and bytes over the network, bytes in /var; estimates on the high side.

    ``objects`` is none where the commit was made without its sizes.
    """

    objects: int | None
    fetched_bytes: int
    stored_bytes: int


class Store:
    """The repository of ``node``, following ``ref`` at ``url``."""

    def __init__(self, node: Node, *, url: str, ref: str, progress: Progress) -> None:
        self._node = node
        self.url = url
        self.ref = ref
        self._progress = progress
        self.repository = Repository(node.folder / "repo", runner=node.runner)
        self._read_already: dict[str, Release] = {}

    def open(self) -> None:
        """Makes the repository on first use and points it at the server.

        Raises ``StateError`` without a source, a branch or any key.
        """
        if not self.url:
            raise StateError(
                "this node has no update source", hint="set url under [update] in /etc/nestos/nestos.conf.d/update.conf"
            )
        if not self.ref:
            raise StateError("this node follows no branch", hint="set ref under [update] in /etc/nestos/nestos.conf.d")
        keys = config.key_folders(self._node.root)
        if not any(any(folder.iterdir()) for folder in keys):
            raise StateError(
                f"this node trusts no key, so it can take no release: {' and '.join(config.KEY_FOLDERS)} are empty"
            )
        if not self.repository.exists:
            self.repository.init(mode="bare")
            # Ostree's own reserve is a share of the disk; ours is checked before, in bytes.
            self.repository.configure("core.min-free-space-size", "32MB")
        self.repository.add_remote(REMOTE, url=self.url, keys=keys)

    # What is offered

    def newest(self) -> Release:
        """The head of the branch; only its signed commit is fetched."""
        self.repository.pull(REMOTE, self.ref, metadata_only=True)
        return self._read(self.repository.resolve(f"{REMOTE}:{self.ref}"))

    def find(self, version: str) -> Release:
        """The newest release with this version in the branch's history. Raises ``InputError`` where there is none."""
        found = self.newest()
        seen = [found.version]
        while found.version != version:
            if not found.parent or len(seen) > _HISTORY_WALKED:
                known = ", ".join(seen[:8]) + (", ..." if len(seen) > 8 else "")
                raise InputError(f'branch {self.ref} has no version "{version}"', hint=f"it has: {known}")
            try:
                self.repository.pull(REMOTE, found.parent, metadata_only=True)
            except NetworkError as error:
                if error.kind != "http-404":
                    raise
                raise InputError(
                    f'version "{version}" is not among the {len(seen)} that {self.url} still has of {self.ref}'
                ) from error
            found = self._read(found.parent)
            seen.append(found.version)
        return found

    def commit(self, checksum: str) -> Release:
        """The release of this very commit; only its signed commit is fetched, where it is not here."""
        if not self.repository.is_complete(checksum):
            self.open()
            self.repository.pull(REMOTE, checksum, metadata_only=True)
        return self._read(checksum)

    def known(self, commit: str) -> Release | None:
        """A release whose commit is here, or none."""
        try:
            return self._read(commit)
        except NestosError:
            return None

    def _read(self, commit: str) -> Release:
        if commit not in self._read_already:
            header = self.repository.history(commit)[0]
            found = release.read(header, self.repository.metadata(commit), ref=self.ref)
            self._read_already[commit] = found
        return self._read_already[commit]

    # Room

    def need(self, offered: Release, *, seeded: bool) -> Need:
        """What an update to ``offered`` takes; ``seeded``: what the running slot holds will not be fetched."""
        missing = self.repository.missing(offered.commit)
        stored = missing.stored_bytes if missing else 3 * offered.image_size
        return Need(
            objects=missing.count if missing else None,
            fetched_bytes=missing.fetched_bytes if missing else offered.image_size,
            stored_bytes=int(stored * (_SEED_FACTOR if seeded else 1)) + offered.image_size,
        )

    def require_room(self, need: Need) -> None:
        """Raises ``SpaceError`` when /var is too small for ``need`` and a margin."""
        status = os.statvfs(self._node.folder)
        available = status.f_bavail * status.f_frsize
        wanted = need.stored_bytes + _MARGIN_BYTES
        if wanted > available:
            raise SpaceError(
                f"/var has {available / 1e6:.0f} MB free, the update needs {wanted / 1e6:.0f} MB",
                hint="free some space in /var; nothing was fetched",
            )

    # Fetching

    def needs_seed(self, running_commit: str) -> bool:
        """True if the running slot holds content that the repository does not."""
        return not self.repository.is_complete(running_commit)

    def seed(self, running_commit: str, *, boot_files: Mapping[str, bytes]) -> None:
        """Takes the running slot's files into the repository, so that they are not fetched again.

        The slot is read below its mounts, in a mount namespace of its own; ``boot_files``, its kernel and initramfs by
        name, are in the commit but not in the slot, and come from the boot partition. Then the running release's
        commit is fetched, if the server still has it: with it, static deltas from the running release can be used.
        Where the slot cannot be read so, everything is fetched. Raises ``SpaceError`` when /var is full.
        """
        view = self._node.folder / "staging" / "running"
        view.mkdir(parents=True, exist_ok=True)
        below = BelowMounts(self._node.runner, view=view)
        with self._progress.stage("taking over the running system's files"):
            try:
                Repository(self.repository.path, runner=below).commit(view, branch=_SEED, subject="running system")
                self._seed_boot_files(boot_files)
            except CommandError as error:
                self._progress.say(f"not possible, so everything is fetched: {error}")
                return
        try:
            self.repository.pull(REMOTE, running_commit, metadata_only=True)
            self.repository.pull(REMOTE, running_commit)
        except (NetworkError, VerificationError):
            self._progress.say("the server no longer has the running release: no deltas from it")

    def _seed_boot_files(self, files: Mapping[str, bytes]) -> None:
        folder = self._node.folder / "staging" / "boot-files"
        folder.mkdir(exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
            (folder / name).chmod(_BOOT_FILE_MODES[name])
        self.repository.commit(folder, branch=f"{_SEED}-boot", subject="running kernel")
        shutil.rmtree(folder)

    def fetch(self, offered: Release, need: Need) -> None:
        """Fetches what is missing of ``offered``, verified; goes on where an earlier attempt stopped."""
        size = f", at most {need.fetched_bytes / 1e6:.1f} MB" if need.fetched_bytes else ""
        name = f"fetching {need.objects if need.objects is not None else 'some'} objects{size}"
        with self._progress.stage(name), self._spoken(need.objects):
            figures = self.repository.pull(REMOTE, f"{self.ref}@{offered.commit}")
            self._progress.say(figures)

    @contextmanager
    def _spoken(self, total: int | None) -> Iterator[None]:
        """Says now and then how many objects have arrived: ostree itself is silent without a terminal."""
        done = threading.Event()

        def speak() -> None:
            while not done.wait(_SPOKEN_SECONDS):
                here = sum(len(names) for staging in self._staged() for _, _, names in os.walk(staging))
                self._progress.say(f"{here} of {total if total is not None else '?'} objects")

        speaker = threading.Thread(target=speak, daemon=True)
        speaker.start()
        try:
            yield
        finally:
            done.set()
            speaker.join()

    def _staged(self) -> list[Path]:
        return list((self.repository.path / "tmp").glob("staging-*"))

    def checkout(self, offered: Release, target: Path) -> None:
        """The release's tree in ``target``, sharing its files with the repository."""
        if target.exists():
            shutil.rmtree(target)
        self.repository.checkout(offered.commit, target, hard_links=True)

    def mend(self) -> bool:
        """Reads every object and drops damaged ones; true if there were any."""
        try:
            self.repository.fsck(delete=True)
        except VerificationError as error:
            self._progress.say(f"the local copy was damaged: {error}")
            return True
        return False

    def keep(self, slots: Mapping[str, str]) -> None:
        """Keeps the commits of the slots (name to commit or nothing) and the branch's head, and no other objects."""
        for slot, commit in slots.items():
            if self.repository.is_complete(commit):
                self.repository.set_ref(f"{_DEPLOYED}/{slot}", commit)
            else:
                self.repository.delete_ref(f"{_DEPLOYED}/{slot}")
        for seed in (_SEED, f"{_SEED}-boot", LAYERED):
            self.repository.delete_ref(seed)
        self._progress.say(self.repository.prune())


class BelowMounts:
    """A ``Runner`` that shows a command, at ``view``, the root file system without what is mounted over it."""

    def __init__(self, runner: Runner, *, view: Path) -> None:
        self._runner = runner
        self._view = view

    def __call__(self, command: Sequence[str | os.PathLike[str]], /, **options: Unpack[RunOptions]) -> Completed:
        """As ``process.run``; the mount ends with the command, however that ends."""
        script = 'mount --bind / "$1" && shift && exec "$@"'
        return self._runner(
            ["unshare", "--mount", "--propagation=private", "sh", "-c", script, "below-mounts", self._view, *command],
            **options,
        )
