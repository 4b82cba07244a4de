from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from nestos.lab import container_image


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "busybox"
    path.write_bytes(b"\x7fELF program")
    return path


def unpack(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: (tar.extractfile(member) or io.BytesIO()).read() for member in tar if member.isfile()}


def document(files: dict[str, bytes], name: str) -> Any:
    return json.loads(files[name])


def blob(files: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    """The content that a descriptor names, checked as a registry would."""
    data = files["blobs/sha256/" + descriptor["digest"].removeprefix("sha256:")]
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == descriptor["digest"]
    assert len(data) == descriptor["size"]
    return data


def test_index_manifest_config_and_layer_lead_to_each_other(program: Path) -> None:
    files = unpack(container_image.archive(program))
    assert document(files, "oci-layout") == {"imageLayoutVersion": "1.0.0"}
    (entry,) = document(files, "index.json")["manifests"]
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "localhost/busybox:latest"
    manifest = json.loads(blob(files, entry))
    config = json.loads(blob(files, manifest["config"]))
    (layer,) = manifest["layers"]
    assert config["rootfs"]["diff_ids"] == [layer["digest"]]
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    blob(files, layer)


def test_docker_finds_the_same_pieces_by_its_own_list(program: Path) -> None:
    files = unpack(container_image.archive(program, name="localhost/x:1"))
    (saved,) = document(files, "manifest.json")
    assert saved["RepoTags"] == ["localhost/x:1"]
    manifest = json.loads(blob(files, document(files, "index.json")["manifests"][0]))
    names = [
        "blobs/sha256/" + part["digest"].removeprefix("sha256:") for part in (manifest["config"], *manifest["layers"])
    ]
    assert [saved["Config"], *saved["Layers"]] == names


def test_the_layer_has_the_program_its_applets_and_the_folders_of_a_system(program: Path) -> None:
    files = unpack(container_image.archive(program))
    (saved,) = document(files, "manifest.json")
    with tarfile.open(fileobj=io.BytesIO(files[saved["Layers"][0]])) as layer:
        members = {member.name: member for member in layer}
        content = layer.extractfile("bin/busybox")
        assert content is not None
        assert content.read() == b"\x7fELF program"
    assert members["bin/busybox"].mode == 0o755
    assert members["bin/sh"].linkname == members["bin/httpd"].linkname == "busybox"
    assert members["tmp"].isdir()
    assert members["tmp"].mode == 0o1777
    assert {"etc/passwd", "etc/group"} <= members.keys()


def test_the_same_program_gives_the_same_bytes_and_another_gives_others(program: Path) -> None:
    first = container_image.archive(program)
    program.touch()
    assert container_image.archive(program) == first
    program.write_bytes(b"other")
    assert container_image.archive(program) != first


def test_nothing_in_it_tells_when_or_by_whom_it_was_made(program: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(container_image.archive(program))) as tar:
        assert {(member.mtime, member.uid, member.uname) for member in tar} == {(0, 0, "")}


def test_arm_has_the_name_that_container_engines_use(program: Path) -> None:
    files = unpack(container_image.archive(program, architecture="aarch64"))
    (saved,) = document(files, "manifest.json")
    assert document(files, saved["Config"])["architecture"] == "arm64"
