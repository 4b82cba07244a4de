"""The release folder: plain files, changed by one transaction at a time, whole or not at all.

``current`` is a symbolic link to the newest folder below ``generations``; a change makes the next such folder, flushes
it, and moves the link: readers (a web server on ``current/public``, ``nestos updates serve``) see the old state or the
new one, through any power cut. In a generation, ``public`` is what everyone may read, ``streams`` the truth it was made
of, ``change.json`` who changed what. ``audit.jsonl`` gathers those, one line a change.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from nestos.base import durable, lock
from nestos.base.clock import Clock
from nestos.base.errors import InputError, StateError
from nestos.updates import publication
from nestos.updates.model import Stream, check_name

_KEPT_GENERATIONS = 10
_CURRENT = "current"

Seal = Callable[[Mapping[str, bytes], Mapping[str, bytes]], Mapping[str, bytes]]
"""Signs: from the published files and the metadata so far (file name to content) to the metadata to publish."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """Why a transaction is made, for the audit log."""

    who: str
    action: str
    subject: str = ""
    """Stream and version, or a key."""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a release folder was made with."""

    base_url: str
    """Address at which ``current/public`` is served."""


class ReleaseFolder:
    """One folder. Reading needs no lock; ``change`` takes it."""

    def __init__(self, path: Path, *, clock: Clock) -> None:
        self.path = path
        self._clock = clock

    # Reading

    @property
    def public(self) -> Path:
        """What is published, by way of the link: two reads may see two generations."""
        return self.path / _CURRENT / "public"

    def generation(self) -> Path:
        """The newest generation itself. Raises ``StateError`` where there is none."""
        try:
            return self.path / (self.path / _CURRENT).readlink()
        except OSError as error:
            raise StateError(
                f"{self.path} is not a release folder", hint=f"make one with: nestos release init {self.path}"
            ) from error

    def settings(self) -> Settings:
        """What the folder was made with."""
        document = json.loads((self.generation() / "settings.json").read_text())
        return Settings(base_url=str(document["base_url"]))

    def streams(self) -> tuple[str, ...]:
        """The names of the streams, sorted."""
        return tuple(sorted(path.stem for path in (self.generation() / "streams").glob("*.json")))

    def read(self, name: str) -> Stream:
        """The stream; one that nobody created yet is empty."""
        path = self.generation() / "streams" / f"{check_name(name, what='stream')}.json"
        if not path.exists():
            return Stream(name=name)
        return publication.parse_state(path.read_text(), source=str(path))

    # Changing

    def init(self, settings: Settings, *, metadata: Mapping[str, bytes], change: Change) -> None:
        """Makes the folder, with signed metadata to start from. Raises ``StateError`` where there is one."""
        if not settings.base_url.startswith(("http://", "https://")):
            raise InputError(f'"{settings.base_url}" is not the address of a web server')
        self.path.mkdir(parents=True, exist_ok=True)
        with self._locked():
            if (self.path / _CURRENT).is_symlink():
                raise StateError(f"{self.path} is a release folder already")
            text = json.dumps({"base_url": settings.base_url}, indent=2) + "\n"
            files = {"settings.json": text.encode()}
            files |= {f"public/metadata/{name}": data for name, data in metadata.items()}
            self._commit(files, change=change)

    def change(
        self, change: Change, *, seal: Seal, name: str = "", edit: Callable[[Stream], Stream] | None = None
    ) -> Stream | None:
        """One transaction: ``edit`` of the stream ``name``, then everything published and signed anew.

        Without ``edit`` only the signatures are made anew. Raises what ``edit`` and ``seal`` raise; then nothing
        has changed.
        """
        with self._locked():
            base = self.generation()
            streams = {held: self.read(held) for held in self.streams()}
            edited = None
            if edit is not None:
                edited = streams[name] = edit(self.read(name))
            files = self._files(streams, base=base, touched=name if edit else None, seal=seal)
            self._commit(files, change=change, base=base)
            return edited

    def _files(self, streams: Mapping[str, Stream], *, base: Path, touched: str | None, seal: Seal) -> dict[str, bytes]:
        now, settings = int(self._clock.now().timestamp()), self.settings()
        published: dict[str, bytes] = {}
        for name, held in streams.items():
            made = publication.files(held, base_url=settings.base_url, now=now)
            for path, text in made.items():
                before = base / "public" / path
                # What did not change keeps its date, hence its checksum and its place in caches.
                is_kept = name != touched and before.exists()
                published[path] = before.read_bytes() if is_kept else text.encode()
        known = {path.name: path.read_bytes() for path in (base / "public/metadata").iterdir()}
        files = {"settings.json": (base / "settings.json").read_bytes()}
        files |= {f"streams/{name}.json": publication.render_state(held).encode() for name, held in streams.items()}
        files |= {f"public/{path}": data for path, data in published.items()}
        return files | {f"public/{path}": data for path, data in seal(published, known).items()}

    def _commit(self, files: Mapping[str, bytes], *, change: Change, base: Path | None = None) -> None:
        serial = int(base.name) + 1 if base is not None else 1
        generations = self.path / "generations"
        generations.mkdir(exist_ok=True)
        fresh = generations / f"{serial:08d}"
        if fresh.exists():  # of a transaction that was cut off before its end
            shutil.rmtree(fresh)
        record = {
            "serial": serial,
            "time": publication.timestamp(int(self._clock.now().timestamp())),
            "who": change.who,
            "action": change.action,
            "subject": change.subject,
            "reason": change.reason,
        }
        for name, data in {**files, "change.json": json.dumps(record).encode() + b"\n"}.items():
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            same = base / name if base is not None else None
            # Files of a generation never change, so that two may share them: most of a long history is old.
            if same is not None and same.is_file() and same.read_bytes() == data:
                os.link(same, path)
            else:
                durable.write(path, data)
        for folder in (generations, *(path for path in fresh.rglob("*") if path.is_dir()), fresh):
            durable.sync_directory(folder)
        self._point_to(fresh)
        self._audit(generations)
        for old in sorted(generations.iterdir())[:-_KEPT_GENERATIONS]:
            shutil.rmtree(old)

    def _point_to(self, fresh: Path) -> None:
        partial = self.path / f".{_CURRENT}"
        partial.unlink(missing_ok=True)
        partial.symlink_to(f"generations/{fresh.name}")
        partial.rename(self.path / _CURRENT)
        durable.sync_directory(self.path)

    def _audit(self, generations: Path) -> None:
        """Adds the line of each generation behind the last line's: also of one whose line a power cut prevented."""
        log = self.path / "audit.jsonl"
        whole = log.read_bytes().rpartition(b"\n")[0] if log.exists() else b""
        while whole and _serial(whole) is None:
            whole = whole.rpartition(b"\n")[0]  # a damaged line: as if it had not been written
        last = _serial(whole) or 0
        newest = int((self.path / _CURRENT).readlink().name)
        missing = [path for path in sorted(generations.iterdir()) if last < int(path.name) <= newest]
        with log.open("r+b" if log.exists() else "xb") as file:
            file.seek(len(whole) + 1 if whole else 0)
            file.truncate()
            for path in missing:
                file.write((path / "change.json").read_bytes())
            file.flush()
            os.fsync(file.fileno())
        durable.sync_directory(self.path)

    def _locked(self) -> AbstractContextManager[None]:
        return lock.held(self.path / "lock", what=f"the release folder {self.path}", clock=self._clock)


def _serial(lines: bytes) -> int | None:
    """The number in the last line; none where it is no line of the audit log."""
    try:
        return int(json.loads(lines.rpartition(b"\n")[2])["serial"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
