from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from nestos.base.errors import InputError
from nestos.wire import stream
from nestos.wire.stream import Artifact

DISK = {
    "location": "https://example.org/a.raw.xz",
    "signature": "https://example.org/a.raw.xz.sig",
    "sha256": "a" * 64,
    "uncompressed-sha256": "b" * 64,
}
KERNEL = {"location": "https://example.org/kernel", "signature": "", "sha256": "c" * 64}
STREAM: dict[str, Any] = {
    "stream": "stable",
    "metadata": {"last-modified": "2026-11-23T12:00:00Z", "generator": "nestos"},
    "architectures": {
        "x86_64": {
            "artifacts": {
                "metal": {"release": "1.0", "formats": {"raw.xz": {"disk": DISK}, "pxe": {"kernel": KERNEL}}},
            },
            "images": {"aws": {"regions": {"eu-1": {"release": "1.0", "image": "ami-1"}}}},
        },
        "aarch64": {"artifacts": {}},
    },
}
RELEASE: dict[str, Any] = {
    "release": "1.0",
    "stream": "stable",
    "metadata": {"last-modified": "2026-11-23T12:00:00Z"},
    "architectures": {"x86_64": {"commit": "d" * 64, "media": {"qemu": {"artifacts": {"qcow2": {"disk": DISK}}}}}},
}


def test_stream_metadata_read_and_written_are_the_same_document() -> None:
    read = stream.parse(json.dumps(STREAM), source="stable.json")

    assert read.architectures["x86_64"].artifacts["metal"].formats["raw.xz"]["disk"] == Artifact(
        location="https://example.org/a.raw.xz",
        signature="https://example.org/a.raw.xz.sig",
        sha256="a" * 64,
        uncompressed_sha256="b" * 64,
    )
    assert json.loads(stream.render(read)) == STREAM


def test_release_metadata_read_and_written_are_the_same_document() -> None:
    read = stream.parse_release(json.dumps(RELEASE), source="release.json")

    assert read.architectures["x86_64"].commit == "d" * 64
    assert json.loads(stream.render_release(read)) == RELEASE


def test_a_platform_that_was_not_built_may_be_null() -> None:
    document = copy.deepcopy(RELEASE)
    document["architectures"]["x86_64"]["media"]["azure"] = None

    read = stream.parse_release(json.dumps(document), source="release.json")

    assert list(read.architectures["x86_64"].media) == ["qemu"]


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        pytest.param("sha256", "a" * 63, "must be a sha256", id="a short checksum"),
        pytest.param("sha256", "A" * 64, "must be a sha256", id="capitals"),
        pytest.param("sha256", None, '"sha256" is missing', id="no checksum"),
        pytest.param("uncompressed-sha256", "?", "must be a sha256", id="no checksum of the content"),
        pytest.param("location", "", "must not be empty", id="no place"),
        pytest.param("signature", 1, "must be a text", id="signature a number"),
    ],
)
def test_an_artifact_that_cannot_be_checked_is_refused(key: str, value: object, told: str) -> None:
    document = copy.deepcopy(STREAM)
    document["architectures"]["x86_64"]["artifacts"]["metal"]["formats"]["raw.xz"]["disk"][key] = value

    with pytest.raises(InputError) as refused:
        stream.parse(json.dumps(document), source="stable.json")

    assert told in str(refused.value)
    assert "$.architectures.x86_64.artifacts.metal.formats.raw.xz.disk" in str(refused.value)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({}, id="empty"),
        pytest.param({"stream": "", "architectures": {}}, id="no name"),
        pytest.param({"stream": "a", "architectures": {"x86_64": {}}}, id="no artifacts"),
        pytest.param({"stream": "a", "architectures": []}, id="architectures a list"),
    ],
)
def test_what_is_no_stream_metadata_is_refused(document: object) -> None:
    with pytest.raises(InputError):
        stream.parse(json.dumps(document), source="stable.json")


def test_a_release_without_a_commit_is_refused() -> None:
    document = {"release": "1", "stream": "a", "architectures": {"x86_64": {"media": {}}}}

    with pytest.raises(InputError, match="commit"):
        stream.parse_release(json.dumps(document), source="release.json")
