"""Archives hold what their takers look for, in the order they look for it, the same each time."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nestos.compose.artifacts import archive, oci, ovf

_OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"


def machine(flavour: str) -> ovf.Machine:
    return ovf.Machine(name="nestos-1", version="1 <&>", flavour=ovf.FLAVOURS[flavour], disk_bytes=4 << 30)


@pytest.mark.parametrize("flavour", ovf.FLAVOURS)
def test_an_ova_begins_with_its_descriptor_and_its_checksums_hold(tmp_path: Path, flavour: str) -> None:
    (tmp_path / "disk").write_bytes(b"VMDK" * 1000)
    archive.ova(tmp_path / "disk", output=tmp_path / "a.ova", machine=machine(flavour))
    archive.ova(tmp_path / "disk", output=tmp_path / "b.ova", machine=machine(flavour))
    assert (tmp_path / "a.ova").read_bytes() == (tmp_path / "b.ova").read_bytes()
    with tarfile.open(tmp_path / "a.ova") as tar:
        assert tar.getnames() == ["nestos-1.ovf", "nestos-1.mf", "nestos-1.vmdk"]
        held = {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]
    for name in ("nestos-1.ovf", "nestos-1.vmdk"):
        assert f"SHA256({name})= {hashlib.sha256(held[name]).hexdigest()}\n" in held["nestos-1.mf"].decode()
    document = ElementTree.fromstring(held["nestos-1.ovf"])
    disk = document.find(f".//{_OVF}Disk")
    assert disk is not None
    assert disk.get(f"{_OVF}capacity") == str(4 << 30)
    has_guestinfo = any("guestinfo" in (e.get(f"{_OVF}key") or "") for e in document.iter(f"{_OVF}Property"))
    assert has_guestinfo == (flavour == "vmware")


def test_the_archive_for_google_holds_disk_raw(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(b"disk")
    archive.gcp_tar(tmp_path / "raw", output=tmp_path / "out.tar")
    with tarfile.open(tmp_path / "out.tar") as tar:
        assert tar.getnames() == ["disk.raw"]
    assert (tmp_path / "out.tar").read_bytes()[257:265] == b"ustar  \0", "of GNU's form"


def test_a_container_has_its_etc_where_containers_look(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "usr/etc").mkdir(parents=True)
    (tree / "usr/etc/hosts").write_text("h")
    (tree / "usr/etc/link").hardlink_to(tree / "usr/etc/hosts")
    with tarfile.open(tmp_path / "exported", "w") as tar:
        tar.add(tree, arcname=".")
    oci.layer(tmp_path / "exported", output=tmp_path / "layer")
    with tarfile.open(tmp_path / "layer") as tar:
        names = sorted(tar.getnames())
        links = [tar.getmember(name) for name in names if tar.getmember(name).islnk()]
    assert names == ["etc", "etc/hosts", "etc/link", "usr"]
    assert [link.linkname.startswith("etc/") for link in links] == [True]


def test_an_oci_archive_is_held_together_by_digests(tmp_path: Path) -> None:
    (tmp_path / "layer.gz").write_bytes(b"layer")
    about = oci.About(name="nestos", version="1", commit="c" * 64, architecture="x86_64", epoch_seconds=0)
    oci.archive(tmp_path / "layer.gz", diff_id="d" * 64, output=tmp_path / "a", about=about)
    with tarfile.open(tmp_path / "a") as tar:
        held = {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]
    manifest = json.loads(_blob(held, json.loads(held["index.json"])["manifests"][0]))
    config = json.loads(_blob(held, manifest["config"]))
    assert _blob(held, manifest["layers"][0]) == b"layer"
    assert config["rootfs"]["diff_ids"] == ["sha256:" + "d" * 64]
    assert (config["architecture"], config["config"]["Labels"]["ostree.commit"]) == ("amd64", "c" * 64)


def _blob(held: dict[str, bytes], descriptor: dict[str, object]) -> bytes:
    digest = str(descriptor["digest"]).removeprefix("sha256:")
    data = held[f"blobs/sha256/{digest}"]
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (digest, descriptor["size"])
    return data
