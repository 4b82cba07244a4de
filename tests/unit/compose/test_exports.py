"""What is handed out: under the field's names, with checksum, signature and metadata that fit it."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import pytest

from nestos.base.log import Progress
from nestos.compose import exports, images, live_media
from nestos.compose.artifacts.live import NetworkSet
from nestos.compose.keys import SigningKey
from nestos.wire import stream
from tests.unit.compose.test_images import RELEASE
from tests.unit.host.scripted import Call, Scripted


def write_last(call: Call) -> None:
    """Leaves what ``xz`` and ``gpg`` would."""
    if call.line[0] == "xz":
        Path(f"{call.line[-1]}.xz").write_bytes(b"compressed")
    else:
        Path(call.line[-3].removeprefix("--output=")).write_bytes(b"proof")


@pytest.fixture
def exporter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> exports.Exporter:
    raw = tmp_path / "metal-1.raw"
    raw.write_bytes(b"disk")
    monkeypatch.setattr(images, "ensure_disk", lambda release, folder, **given: raw)
    runner = Scripted()
    runner.on("xz", does=write_last)
    runner.on("gpg", does=write_last)
    return exports.Exporter(
        release=replace(RELEASE, version="13.1"),
        folder=tmp_path,
        home=tmp_path,
        repository=tmp_path / "repo",
        key=SigningKey(home=tmp_path, fingerprint="F", public=tmp_path / "F.gpg"),
        runner=runner,
        progress=Progress(io.StringIO()),
    )


def test_an_artifact_has_its_public_name_and_its_proofs_beside_it(exporter: exports.Exporter) -> None:
    made = exporter.disk("metal")
    assert made.name == "nestos-13.1-metal.x86_64.raw.xz"
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    assert made.with_name(f"{made.name}.sha256").read_text() == f"{digest}  {made.name}\n"
    assert made.with_name(f"{made.name}.sig").read_bytes() == b"proof"


def test_the_metadata_tell_of_every_artifact_as_a_stream_does(exporter: exports.Exporter) -> None:
    exporter.disk("metal")
    exporter.disk("metal4k", form="raw")
    text = (exporter.folder / "artifacts" / exports.INDEX).read_text()
    metal = stream.parse(text, source="x").architectures["x86_64"].artifacts["metal"]
    assert metal.release == "13.1"
    assert set(metal.formats) == {"raw.xz", "4k.raw"}
    compressed = metal.formats["raw.xz"]["disk"]
    assert compressed.uncompressed_sha256 == hashlib.sha256(b"disk").hexdigest()
    assert compressed.signature == "nestos-13.1-metal.x86_64.raw.xz.sig"
    assert metal.formats["4k.raw"]["disk"].uncompressed_sha256 == ""


def test_live_media_are_in_a_stream_where_the_field_has_them(
    exporter: exports.Exporter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("iso", "kernel", "initramfs", "rootfs"):
        (tmp_path / name).write_bytes(name.encode())
    network = NetworkSet(kernel=tmp_path / "kernel", initramfs=tmp_path / "initramfs", rootfs=tmp_path / "rootfs")
    made = live_media.LiveMedia(iso=tmp_path / "iso", network=network)
    monkeypatch.setattr(live_media, "ensure", lambda release, folder, **given: made)
    assert [path.name for path in exporter.live()] == [
        "nestos-13.1-live-iso.x86_64.iso",
        "nestos-13.1-live-kernel.x86_64",
        "nestos-13.1-live-initramfs.x86_64.img",
        "nestos-13.1-live-rootfs.x86_64.img",
    ]
    text = (exporter.folder / "artifacts" / exports.INDEX).read_text()
    metal = stream.parse(text, source="x").architectures["x86_64"].artifacts["metal"]
    assert {form: sorted(parts) for form, parts in metal.formats.items()} == {
        "iso": ["disk"],
        "pxe": ["initramfs", "kernel", "rootfs"],
    }
    assert metal.formats["pxe"]["rootfs"].sha256 == hashlib.sha256(b"rootfs").hexdigest()
