"""Where the server's metadata come from: a folder in the layout of the field, ours or a mirror of somebody's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from nestos.base.errors import InputError, StateError
from nestos.updates import publication
from nestos.updates.answers import Answers, Metadata
from nestos.wire import releases
from nestos.wire.releases import Halt, Marks

Stamp = tuple[tuple[str, int, int], ...]
"""Files with their time and size: another stamp, other files."""


def public_folder(path: Path) -> Path:
    """The published root of a release folder, or ``path`` itself if it is one."""
    inside = path / "current/public"
    return inside if inside.is_dir() else path


def stamp(folder: Path) -> Stamp:
    """What ``load`` would read. The folder's links are resolved once, so that all is of one generation."""
    real = folder.resolve()
    found = []
    for path in (*sorted(real.glob("updates/*.json")), *sorted(real.glob("prod/streams/*/releases.json"))):
        status = path.stat()
        found.append((str(path), status.st_mtime_ns, status.st_size))
    return tuple(found)


def load(folder: Path, *, withheld: Mapping[tuple[str, str], str] | None = None) -> Answers:
    """Answers for every stream that has both an index and update metadata.

    ``withheld``: releases, by stream and version, that are offered to nobody whatever the metadata say, and why.
    Raises ``InputError`` if any of them cannot be used, ``StateError`` where there is no stream at all: then whoever
    asks keeps the answers it has.
    """
    real = folder.resolve()
    streams = {}
    for path in sorted(real.glob("updates/*.json")):
        name = path.stem
        try:
            index = (real / publication.index_path(name)).read_bytes()
        except FileNotFoundError as error:
            raise InputError(f"the stream {name} has update metadata and no release index") from error
        updates = releases.parse_updates(path.read_bytes(), source=str(path))
        if updates.stream != name:
            raise InputError(f'{path} is of the stream "{updates.stream}"')
        held = tuple(
            Marks(version=version, halted=Halt(reason=reason))
            for (stream, version), reason in (withheld or {}).items()
            if stream == name
        )
        streams[name] = Metadata(
            index=releases.parse_index(index, source=publication.index_path(name)),
            updates=replace(updates, releases=(*updates.releases, *held)),
        )
    if not streams and not (real / "metadata").is_dir():
        raise StateError(
            f"{folder} has no stream: updates/STREAM.json and prod/streams/STREAM/releases.json are looked for"
        )
    return Answers(streams)
