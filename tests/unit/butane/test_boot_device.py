"""``boot_device`` of Fedora CoreOS."""

from __future__ import annotations

import pytest

from nestos.butane import boot_device
from tests.unit.butane.source import config, messages


def fcos(body: str, version: str = "1.6.0") -> dict[str, object]:
    return dict(config(body, variant="fcos", version=version)["storage"])


ROOT = {"device": "/dev/mapper/root", "format": "xfs", "label": "root", "wipeFilesystem": True}


def test_an_encrypted_root_is_a_volume_with_a_file_system() -> None:
    assert fcos("boot_device: {luks: {tpm2: true, threshold: 1, tang: [{url: http://t, thumbprint: x}]}}") == {
        "luks": [
            {
                "clevis": {"tang": [{"thumbprint": "x", "url": "http://t"}], "threshold": 1, "tpm2": True},
                "device": "/dev/disk/by-partlabel/root",
                "label": "luks-root",
                "name": "root",
                "wipeVolume": True,
            }
        ],
        "filesystems": [ROOT],
    }


@pytest.mark.parametrize(
    ("layout", "partitions", "filesystems"),
    [
        ("x86_64", ["bios-1", "esp-1", "boot-1", "root-1"], ["esp-1", "esp-2", "boot", "root"]),
        ("aarch64", ["reserved-1", "esp-1", "boot-1", "root-1"], ["esp-1", "esp-2", "boot", "root"]),
        ("ppc64le", ["prep-1", "reserved-1", "boot-1", "root-1"], ["boot", "root"]),
    ],
)
def test_a_mirrored_root_has_the_partitions_of_its_layout(
    layout: str, partitions: list[str], filesystems: list[str]
) -> None:
    storage = config(
        f"boot_device: {{layout: {layout}, mirror: {{devices: [/dev/vda, /dev/vdb]}}}}", variant="fcos", version="1.4.0"
    )["storage"]
    assert [item["label"] for item in storage["disks"][0]["partitions"]] == partitions
    assert [item["label"] for item in storage["filesystems"]] == filesystems
    assert [(item["name"], len(item["devices"])) for item in storage["raid"]] == [("md-boot", 2), ("md-root", 2)]


def test_what_the_user_says_about_a_generated_entry_wins_and_the_rest_stays() -> None:
    body = """
        boot_device: {luks: {tpm2: true}}
        storage:
          filesystems:
            - {device: /dev/vdb, format: ext4}
            - {device: /dev/mapper/root, format: ext4}
    """
    assert fcos(body)["filesystems"] == [{**ROOT, "format": "ext4"}, {"device": "/dev/vdb", "format": "ext4"}]


@pytest.mark.parametrize(
    ("layout", "device", "volume"),
    [("s390x-eckd", "/dev/dasda", "/dev/dasda2"), ("s390x-zfcp", "/dev/sda", "/dev/sda4")],
)
def test_s390x_encrypts_a_partition_of_its_disk_with_a_secure_key(layout: str, device: str, volume: str) -> None:
    (luks,) = config(
        f"boot_device: {{layout: {layout}, luks: {{device: {device}, cex: {{enabled: true}}}}}}",
        variant="fcos",
        version="1.6.0",
    )["storage"]["luks"]
    assert (luks["device"], luks["cex"]) == (volume, {"enabled": True})


MISTAKES = [
    ("1.7.0", "mirror: {devices: [a, b]}", "mirror", boot_device.NO_LAYOUT),
    ("1.5.0", "layout: s390x-virt", "layout", boot_device.UNKNOWN_OLD_LAYOUT),
    ("1.6.0", "layout: mips", "layout", boot_device.UNKNOWN_LAYOUT),
    ("1.6.0", "layout: s390x-eckd", "layout", boot_device.NO_DEVICE),
    ("1.6.0", "{layout: s390x-zfcp, luks: {device: /dev/dasda, tpm2: true}}", "layout", boot_device.BAD_DEVICE),
    ("1.6.0", "{layout: x86_64, luks: {cex: {enabled: true}}}", "layout", boot_device.CEX_ELSEWHERE),
    ("1.7.0", "{layout: s390x-eckd, luks: {device: /dev/dasda}}", "luks.luks", boot_device.NO_METHOD),
]


@pytest.mark.parametrize(("version", "body", "path", "reason"), MISTAKES)
def test_what_a_layout_cannot_do_is_refused(version: str, body: str, path: str, reason: str) -> None:
    found = messages(f"boot_device:\n  {body}", variant="fcos", version=version)
    assert len(found) == 1
    assert found[0].startswith(f"error at $.boot_device.{path}, line ")
    assert found[0].endswith(reason)


def test_a_mirror_of_one_disk_is_told_as_often_as_the_original_tells_it() -> None:
    found = messages("boot_device: {layout: x86_64, mirror: {devices: [a]}}", variant="fcos", version="1.6.0")
    assert [line.rpartition(": ")[2] for line in found] == [boot_device.TOO_FEW_DEVICES] * 2
