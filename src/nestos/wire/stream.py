"""Stream metadata (``streams/STREAM.json``) and release metadata (``release.json``). Standard library only.

The forms are Fedora CoreOS's: where the newest artifacts of a stream are, per architecture, platform and format, and
the same for one release. Installers and image catalogues read the first, release tools the second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from nestos.wire import fields
from nestos.wire.fields import Fields

PARTS = ("disk", "kernel", "initramfs", "rootfs")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One file to fetch."""

    location: str
    sha256: str
    signature: str = ""
    """URL of a detached signature; empty: none."""
    uncompressed_sha256: str = ""
    """Of the content, where the file is compressed; empty: unknown or not compressed."""


Formats = Mapping[str, Mapping[str, Artifact]]
"""Format (such as ``raw.xz`` or ``pxe``) to part (one of ``PARTS``) to file."""


@dataclass(frozen=True, kw_only=True)
class PlatformArtifacts:
    """The files of one platform, such as ``metal`` or ``qemu``, of the release ``release``."""

    release: str
    formats: Formats


@dataclass(frozen=True, kw_only=True)
class StreamArchitecture:
    """What a stream offers for one architecture."""

    artifacts: Mapping[str, PlatformArtifacts] = field(default_factory=dict)
    images: Mapping[str, object] = field(default_factory=dict)
    """Images in clouds, as the document has them: each cloud has a form of its own."""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """The newest artifacts of a stream."""

    stream: str
    last_modified: str = ""
    """RFC 3339 in UTC; empty where unknown."""
    generator: str = ""
    architectures: Mapping[str, StreamArchitecture] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReleaseArchitecture:
    """What one release is for one architecture: its OSTree commit and, per platform, its files."""

    commit: str
    media: Mapping[str, Formats] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReleaseMetadata:
    """One release of a stream."""

    release: str
    stream: str
    last_modified: str = ""
    architectures: Mapping[str, ReleaseArchitecture] = field(default_factory=dict)


def parse(text: str | bytes, *, source: str) -> Stream:
    """Reads stream metadata. Raises ``InputError`` with every finding where it cannot be used."""
    value, report = fields.document(text, source=source)
    top = Fields(value, report)
    metadata = top.optional("metadata")
    listed = top.nested("architectures")
    stream = Stream(
        stream=top.text("stream", is_empty_allowed=False),
        last_modified=metadata.text("last-modified", default="") if metadata else "",
        generator=metadata.text("generator", default="") if metadata else "",
        architectures={name: _architecture(listed.nested(name)) for name in listed.names()},
    )
    fields.require(report, source=source)
    return stream


def render(stream: Stream) -> str:
    """The text of ``streams/STREAM.json``."""
    metadata = {"last-modified": stream.last_modified}
    if stream.generator:
        metadata["generator"] = stream.generator
    return fields.render(
        {
            "stream": stream.stream,
            "metadata": metadata,
            "architectures": {
                name: {
                    "artifacts": {
                        platform: {"release": held.release, "formats": formats_document(held.formats)}
                        for platform, held in one.artifacts.items()
                    },
                    **({"images": dict(one.images)} if one.images else {}),
                }
                for name, one in stream.architectures.items()
            },
        }
    )


def parse_release(text: str | bytes, *, source: str) -> ReleaseMetadata:
    """Reads release metadata. Raises ``InputError`` with every finding where it cannot be used."""
    value, report = fields.document(text, source=source)
    top = Fields(value, report)
    metadata = top.optional("metadata")
    listed = top.nested("architectures")
    release = ReleaseMetadata(
        release=top.text("release", is_empty_allowed=False),
        stream=top.text("stream", is_empty_allowed=False),
        last_modified=metadata.text("last-modified", default="") if metadata else "",
        architectures={name: _release_architecture(listed.nested(name)) for name in listed.names()},
    )
    fields.require(report, source=source)
    return release


def render_release(release: ReleaseMetadata) -> str:
    """The text of ``release.json``."""
    return fields.render(
        {
            "release": release.release,
            "stream": release.stream,
            "metadata": {"last-modified": release.last_modified},
            "architectures": {
                name: {
                    "commit": one.commit,
                    "media": {
                        platform: {"artifacts": formats_document(formats)} for platform, formats in one.media.items()
                    },
                }
                for name, one in release.architectures.items()
            },
        }
    )


def _architecture(one: Fields) -> StreamArchitecture:
    artifacts, images = one.nested("artifacts"), one.optional("images")
    return StreamArchitecture(
        artifacts={
            name: PlatformArtifacts(
                release=artifacts.nested(name).text("release"), formats=read_formats(artifacts.nested(name), "formats")
            )
            for name in artifacts.names()
        },
        images=images.as_is() if images else {},
    )


def _release_architecture(one: Fields) -> ReleaseArchitecture:
    media = one.optional("media")
    names = [name for name in media.names() if media.has(name)] if media else []
    return ReleaseArchitecture(
        commit=one.text("commit", is_empty_allowed=False),
        media={name: read_formats(media.nested(name), "artifacts") for name in names} if media else {},
    )


def read_formats(platform: Fields, key: str) -> Formats:
    """The formats below the member ``key``; findings go to the document's report."""
    formats = platform.nested(key)
    found = {}
    for name in formats.names():
        held = formats.nested(name)
        found[name] = {part: _artifact(held.nested(part)) for part in PARTS if held.has(part)}
    return found


def _artifact(one: Fields) -> Artifact:
    artifact = Artifact(
        location=one.text("location", is_empty_allowed=False),
        sha256=one.text("sha256"),
        signature=one.text("signature", default=""),
        uncompressed_sha256=one.text("uncompressed-sha256", default=""),
    )
    for name, value in (("sha256", artifact.sha256), ("uncompressed-sha256", artifact.uncompressed_sha256)):
        if value and not _SHA256.fullmatch(value):
            one.error("must be a sha256 in hexadecimal", name)
    return artifact


def formats_document(formats: Formats) -> dict[str, object]:
    """The formats as a JSON value."""
    return {
        name: {part: _artifact_document(held[part]) for part in PARTS if part in held} for name, held in formats.items()
    }


def _artifact_document(artifact: Artifact) -> dict[str, str]:
    document = {"location": artifact.location, "signature": artifact.signature, "sha256": artifact.sha256}
    if artifact.uncompressed_sha256:
        document["uncompressed-sha256"] = artifact.uncompressed_sha256
    return document
