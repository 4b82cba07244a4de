"""From a stream's releases to the files that everyone may read, and to the file that keeps the truth. Pure.

The paths are those of Fedora CoreOS's servers, so that tools which know them need only another address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from nestos.base.errors import StateError
from nestos.updates.guard import Guard, Progress
from nestos.updates.model import Build, Phase, Release, Stream
from nestos.wire import fields, releases, stream
from nestos.wire.fields import Fields
from nestos.wire.releases import Commit, IndexedRelease, Marks, OciImage, ReleaseIndex, Rollout, UpdateMetadata
from nestos.wire.stream import (
    Formats,
    PlatformArtifacts,
    ReleaseArchitecture,
    ReleaseMetadata,
    StreamArchitecture,
)

FORMAT = 2
"""Of the file that keeps the truth; a newer one is refused. 2: guards and halts, which 1 would drop."""
_GENERATOR = "nestos release"


def index_path(name: str) -> str:
    """Where a stream's release index is, below the published root."""
    return f"prod/streams/{name}/releases.json"


def release_path(name: str, version: str) -> str:
    """Where a release's own metadata is."""
    return f"prod/streams/{name}/builds/{version}/release.json"


def updates_path(name: str) -> str:
    """Where a stream's update metadata is."""
    return f"updates/{name}.json"


def stream_path(name: str) -> str:
    """Where a stream's newest artifacts are listed."""
    return f"streams/{name}.json"


def files(held: Stream, *, base_url: str, now: int) -> dict[str, str]:
    """Every published file of a stream, by its path. ``base_url`` is the address of the published root."""
    stamp = timestamp(now)
    listed = held.listed()
    found = {
        index_path(held.name): releases.render_index(_index(held.name, listed, base_url=base_url, stamp=stamp)),
        updates_path(held.name): releases.render_updates(_updates(held.name, listed, stamp=stamp)),
        stream_path(held.name): stream.render(_stream(held.name, listed, stamp=stamp)),
    }
    for release in listed:
        if release.phase is Phase.PUBLISHED:
            text = stream.render_release(_release(held.name, release))
            found[release_path(held.name, release.version)] = text
    return found


def timestamp(seconds: int) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _index(name: str, listed: tuple[Release, ...], *, base_url: str, stamp: str) -> ReleaseIndex:
    entries = []
    for release in listed:
        builds = sorted(release.builds.items())
        entries.append(
            IndexedRelease(
                version=release.version,
                metadata_url=f"{base_url.rstrip('/')}/{release_path(name, release.version)}",
                commits=tuple(Commit(architecture=arch, checksum=b.commit) for arch, b in builds if b.commit),
                oci_images=tuple(
                    OciImage(architecture=arch, image=build.image, digest_ref=build.digest_ref)
                    for arch, build in builds
                    if build.digest_ref
                ),
            )
        )
    return ReleaseIndex(stream=name, last_modified=stamp, releases=tuple(entries))


def _updates(name: str, listed: tuple[Release, ...], *, stamp: str) -> UpdateMetadata:
    marks = (_marks(release) for release in listed)
    marked = tuple(entry for entry in marks if entry != Marks(version=entry.version))
    return UpdateMetadata(stream=name, last_modified=stamp, releases=marked)


def _marks(release: Release) -> Marks:
    """A halted release is not rolled out, for servers that know no halt; a barrier would be then, so it is held."""
    rollout = release.rollout
    if release.halted is not None:
        rollout = Rollout(start_percentage=0.0) if release.barrier is not None else None
    return Marks(
        version=release.version,
        barrier=release.barrier,
        deadend=release.deadend,
        rollout=rollout,
        halted=release.halted,
    )


def _stream(name: str, listed: tuple[Release, ...], *, stamp: str) -> stream.Stream:
    """Per architecture and platform the newest release that has files for it."""
    found: dict[str, dict[str, PlatformArtifacts]] = {}
    for release in listed:
        if release.phase is not Phase.PUBLISHED:
            continue
        for architecture, build in sorted(release.builds.items()):
            platforms = found.setdefault(architecture, {})
            for platform, formats in sorted(build.artifacts.items()):
                platforms[platform] = PlatformArtifacts(release=release.version, formats=formats)
    return stream.Stream(
        stream=name,
        last_modified=stamp,
        generator=_GENERATOR,
        architectures={name: StreamArchitecture(artifacts=platforms) for name, platforms in found.items()},
    )


def _release(name: str, release: Release) -> ReleaseMetadata:
    return ReleaseMetadata(
        release=release.version,
        stream=name,
        last_modified=timestamp(release.published),
        architectures={
            architecture: ReleaseArchitecture(commit=build.commit or build.digest_ref, media=build.artifacts)
            for architecture, build in sorted(release.builds.items())
        },
    )


# The file that keeps the truth


def render_state(held: Stream) -> str:
    """A stream with all that is known of it, drafts too."""
    return fields.render(
        {"format": FORMAT, "stream": held.name, "releases": [_release_document(entry) for entry in held.releases]}
    )


def parse_state(text: str | bytes, *, source: str) -> Stream:
    """Reads what ``render_state`` wrote. Raises ``InputError``, or ``StateError`` if it is newer."""
    value, report = fields.document(text, source=source)
    top = Fields(value, report)
    if (top.unsigned("format") or 0) > FORMAT:
        raise StateError(f"{source} was written by a newer program", hint="use that one")
    held = Stream(name=top.text("stream"), releases=tuple(_release_of(entry) for entry in top.each("releases")))
    fields.require(report, source=source)
    return held


def _release_document(release: Release) -> dict[str, Any]:
    return {
        "version": release.version,
        "phase": str(release.phase),
        "created": release.created,
        "published": release.published,
        "barrier": release.barrier,
        "deadend": release.deadend,
        "withdrawn": release.withdrawn,
        "rollout": None if release.rollout is None else releases.rollout_document(release.rollout),
        "paused": None if release.paused is None else releases.rollout_document(release.paused),
        "guard": None if release.guard is None else asdict(release.guard),
        "progress": None if release.progress is None else asdict(release.progress),
        "halted": None if release.halted is None else releases.halt_document(release.halted),
        "builds": {
            architecture: {
                "commit": build.commit,
                "image": build.image,
                "digest_ref": build.digest_ref,
                "artifacts": _artifacts_document(build.artifacts),
            }
            for architecture, build in sorted(release.builds.items())
        },
    }


def _artifacts_document(artifacts: Mapping[str, Formats]) -> dict[str, object]:
    return {name: {"artifacts": stream.formats_document(formats)} for name, formats in sorted(artifacts.items())}


def _release_of(entry: Fields) -> Release:
    builds = entry.nested("builds")
    phase = entry.text("phase")
    if phase not in tuple(Phase):
        entry.error(f'"{phase}" is no phase of a release', "phase")
        phase = Phase.DRAFT
    return Release(
        version=entry.text("version", is_empty_allowed=False),
        phase=Phase(phase),
        created=entry.signed("created") or 0,
        published=entry.signed("published") or 0,
        barrier=entry.text("barrier", default="") if entry.has("barrier") else None,
        deadend=entry.text("deadend", default="") if entry.has("deadend") else None,
        withdrawn=entry.text("withdrawn", default=""),
        rollout=releases.read_rollout(entry, "rollout"),
        paused=releases.read_rollout(entry, "paused"),
        guard=_guard_of(entry),
        progress=_progress_of(entry),
        halted=releases.read_halt(entry, "halted"),
        builds={architecture: _build_of(builds.nested(architecture)) for architecture in builds.names()},
    )


def _guard_of(entry: Fields) -> Guard | None:
    held = entry.optional("guard")
    if held is None:
        return None
    waves = [item for _, item in held.items("waves") if isinstance(item, float)]
    return Guard(
        canaries=tuple(held.each_text("canaries")),
        waves=tuple(waves),
        stage_minutes=held.unsigned("stage_minutes") or 0,
        last_minutes=held.unsigned("last_minutes") or 0,
        failures=held.unsigned("failures") or 0,
        failure_share=held.share("failure_share") or 0.0,
        canary_failures=held.unsigned("canary_failures") or 0,
        quorum=held.share("quorum") or 0.0,
        goes_back=held.as_is().get("goes_back") is True,
    )


def _progress_of(entry: Fields) -> Progress | None:
    held = entry.optional("progress")
    if held is None:
        return None
    return Progress(
        stage=held.unsigned("stage") or 0,
        since=held.signed("since") or 0,
        counted_since=held.signed("counted_since") or 0,
    )


def _build_of(build: Fields) -> Build:
    artifacts = build.nested("artifacts")
    return Build(
        commit=build.text("commit"),
        image=build.text("image"),
        digest_ref=build.text("digest_ref"),
        artifacts={name: stream.read_formats(artifacts.nested(name), "artifacts") for name in artifacts.names()},
    )
