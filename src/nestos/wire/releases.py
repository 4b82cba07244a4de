"""The release index (``releases.json``) and the update metadata (``updates/STREAM.json``). Standard library only.

The forms are Fedora CoreOS's: the index lists every release of a stream in age order with its payloads; the update
metadata says which of them are barriers, dead ends or being rolled out. The graph is made of the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nestos.wire import fields
from nestos.wire.fields import Fields

INDEX_NOTE = "For use only by the update service and release tools. Everyone else: see the stream metadata."


@dataclass(frozen=True, kw_only=True)
class Commit:
    """The OSTree commit of a release for one architecture."""

    architecture: str
    checksum: str


@dataclass(frozen=True, kw_only=True)
class OciImage:
    """The container image of a release for one architecture."""

    architecture: str
    image: str
    """Where it is, with a tag."""
    digest_ref: str
    """The same with a digest, ``registry/repository@sha256:...``: what nodes compare."""


@dataclass(frozen=True, kw_only=True)
class IndexedRelease:
    """One line of the index."""

    version: str
    metadata_url: str
    """Where the release's own metadata is."""
    commits: tuple[Commit, ...] = ()
    oci_images: tuple[OciImage, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReleaseIndex:
    """Every release of a stream, oldest first: the place in this list is the age index, so lines are only appended."""

    stream: str
    last_modified: str = ""
    """RFC 3339 in UTC; empty where unknown."""
    note: str = INDEX_NOTE
    releases: tuple[IndexedRelease, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """How a release is handed out over time."""

    start_epoch: int | None = None
    """Seconds since 1970 in UTC; none: it has started."""
    start_percentage: float | None = None
    """From 0.0 to 1.0 in spite of its name: the share of nodes that gets it at the start; none: 0.0."""
    duration_minutes: int | None = None
    """From the start to every node; none: the share stays what it was at the start."""
    groups: tuple[str, ...] = ()
    """Ours: groups of nodes that may take the release whatever their wariness. Other servers pass it over."""


@dataclass(frozen=True, kw_only=True)
class Halt:
    """Ours: a release that was stopped. No node is led to it, however little wary."""

    reason: str
    back_to: str = ""
    """The version to which nodes that run it are led back; empty: they stay until a newer release."""


@dataclass(frozen=True, kw_only=True)
class Marks:
    """What the update metadata says of one version. A reason may be empty; none: not such a release."""

    version: str
    barrier: str | None = None
    deadend: str | None = None
    rollout: Rollout | None = None
    halted: Halt | None = None


@dataclass(frozen=True, kw_only=True)
class UpdateMetadata:
    """The marks of a stream. A version may come more than once; a later mark of a kind then overrides."""

    stream: str
    last_modified: str = ""
    releases: tuple[Marks, ...] = ()

    def by_version(self) -> dict[str, Marks]:
        """All marks of each version as one."""
        found: dict[str, Marks] = {}
        for entry in self.releases:
            before = found.get(entry.version, entry)
            found[entry.version] = Marks(
                version=entry.version,
                barrier=before.barrier if entry.barrier is None else entry.barrier,
                deadend=before.deadend if entry.deadend is None else entry.deadend,
                rollout=entry.rollout or before.rollout,
                halted=entry.halted or before.halted,
            )
        return found


def parse_index(text: str | bytes, *, source: str) -> ReleaseIndex:
    """Reads a release index. Raises ``InputError`` with every finding where it cannot be used."""
    value, report = fields.document(text, source=source)
    top = Fields(value, report)
    releases = tuple(
        IndexedRelease(
            version=entry.text("version", is_empty_allowed=False),
            metadata_url=entry.text("metadata", default=""),
            commits=tuple(
                Commit(architecture=item.text("architecture"), checksum=item.text("checksum"))
                for item in entry.each("commits", is_needed=False)
            ),
            oci_images=tuple(
                OciImage(
                    architecture=item.text("architecture"),
                    image=item.text("image", default=""),
                    digest_ref=item.text("digest-ref"),
                )
                for item in entry.each("oci-images", is_needed=False)
            ),
        )
        for entry in top.each("releases")
    )
    _refuse_doubles(top, (entry.version for entry in releases))
    index = ReleaseIndex(
        stream=top.text("stream", default=""),
        last_modified=_last_modified(top),
        note=top.text("note", default=""),
        releases=releases,
    )
    fields.require(report, source=source)
    return index


def render_index(index: ReleaseIndex) -> str:
    """The text of ``releases.json``."""
    return fields.render(
        {
            "note": index.note,
            "releases": [_release_document(entry) for entry in index.releases],
            "metadata": {"last-modified": index.last_modified},
            "stream": index.stream,
        }
    )


def parse_updates(text: str | bytes, *, source: str) -> UpdateMetadata:
    """Reads update metadata. Raises ``InputError`` with every finding where it cannot be used."""
    value, report = fields.document(text, source=source)
    top = Fields(value, report)
    updates = UpdateMetadata(
        stream=top.text("stream", is_empty_allowed=False),
        last_modified=_last_modified(top),
        releases=tuple(_marks(entry) for entry in top.each("releases")),
    )
    fields.require(report, source=source)
    return updates


def render_updates(updates: UpdateMetadata) -> str:
    """The text of ``updates/STREAM.json``."""
    return fields.render(
        {
            "stream": updates.stream,
            "metadata": {"last-modified": updates.last_modified},
            "releases": [{"version": entry.version, "metadata": _marks_document(entry)} for entry in updates.releases],
        }
    )


def _refuse_doubles(top: Fields, versions: Iterable[str]) -> None:
    seen: dict[str, int] = {}
    for position, version in enumerate(versions):
        if version in seen:
            top.error(f'"{version}" is also release {seen[version]}', "releases", position, "version")
        seen.setdefault(version, position)


def _last_modified(top: Fields) -> str:
    metadata = top.optional("metadata")
    return metadata.text("last-modified", default="") if metadata else ""


def _marks(entry: Fields) -> Marks:
    marks = entry.optional("metadata")
    if marks is None:
        return Marks(version=entry.text("version", is_empty_allowed=False))
    return Marks(
        version=entry.text("version", is_empty_allowed=False),
        barrier=_reason(marks, "barrier"),
        deadend=_reason(marks, "deadend"),
        rollout=read_rollout(marks, "rollout"),
        halted=read_halt(marks, "halted"),
    )


def read_halt(marks: Fields, name: str) -> Halt | None:
    """The halt that is the member ``name``, or none."""
    halt = marks.optional(name)
    return Halt(reason=halt.text("reason"), back_to=halt.text("back_to", default="")) if halt else None


def halt_document(halt: Halt) -> dict[str, str]:
    """The halt as a JSON value."""
    return {"reason": halt.reason} | ({"back_to": halt.back_to} if halt.back_to else {})


def read_rollout(marks: Fields, name: str) -> Rollout | None:
    """The rollout that is the member ``name``, or none; findings go to the document's report."""
    rollout = marks.optional(name)
    if rollout is None:
        return None
    return Rollout(
        start_epoch=rollout.signed("start_epoch"),
        start_percentage=rollout.share("start_percentage"),
        duration_minutes=rollout.unsigned("duration_minutes"),
        groups=tuple(rollout.each_text("groups")),
    )


def rollout_document(rollout: Rollout) -> dict[str, object]:
    """The rollout as a JSON value."""
    document: dict[str, object] = {
        "start_epoch": rollout.start_epoch,
        "start_percentage": rollout.start_percentage,
        "duration_minutes": rollout.duration_minutes,
        "groups": list(rollout.groups) or None,
    }
    return {name: value for name, value in document.items() if value is not None}


def _reason(marks: Fields, name: str) -> str | None:
    mark = marks.optional(name)
    return mark.text("reason", default="") if mark else None


def _release_document(entry: IndexedRelease) -> dict[str, object]:
    document: dict[str, object] = {
        "commits": [{"architecture": item.architecture, "checksum": item.checksum} for item in entry.commits]
    }
    if entry.oci_images:
        document["oci-images"] = [
            {"architecture": item.architecture, "image": item.image, "digest-ref": item.digest_ref}
            for item in entry.oci_images
        ]
    return {**document, "version": entry.version, "metadata": entry.metadata_url}


def _marks_document(marks: Marks) -> dict[str, object]:
    document: dict[str, object] = {}
    if marks.rollout is not None:
        document["rollout"] = rollout_document(marks.rollout)
    for name, reason in (("barrier", marks.barrier), ("deadend", marks.deadend)):
        if reason is not None:
            document[name] = {"reason": reason}
    if marks.halted is not None:
        document["halted"] = halt_document(marks.halted)
    return document
