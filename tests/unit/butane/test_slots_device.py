"""``boot_device`` and ``grub`` of NestOS 1.2.0: what is encrypted and mirrored is ``var``."""

from __future__ import annotations

import pytest

from nestos.butane import slots_device
from nestos.butane.grub import NO_NAME
from nestos.butane.variants.nestos import ANOTHER_DISK
from nestos.cli.butane_inspection import validate
from tests.unit.butane.source import config, messages

VAR = "/dev/disk/by-partlabel/var"


def test_var_is_encrypted_and_the_slots_are_not_touched() -> None:
    storage = config("boot_device: {luks: {tpm2: true, discard: true}}", version="1.2.0", validate=validate)["storage"]
    assert storage == {
        "filesystems": [{"device": "/dev/mapper/var", "format": "ext4", "label": "var", "wipeFilesystem": True}],
        "luks": [
            {
                "clevis": {"tpm2": True},
                "device": VAR,
                "discard": True,
                "label": "luks-var",
                "name": "var",
                "wipeVolume": True,
            }
        ],
    }


def test_var_is_kept_on_other_disks_too_below_the_encryption() -> None:
    storage = config(
        "boot_device: {luks: {tpm2: true}, mirror: {devices: [/dev/vdb, /dev/vdc]}}", version="1.2.0", validate=validate
    )["storage"]
    assert [disk["partitions"][0]["label"] for disk in storage["disks"]] == ["var-2", "var-3"]
    assert storage["raid"] == [{"devices": [VAR, f"{VAR}-2", f"{VAR}-3"], "level": "raid1", "name": "md-var"}]
    assert storage["luks"][0]["device"] == "/dev/md/md-var"
    assert [filesystem["device"] for filesystem in storage["filesystems"]] == ["/dev/mapper/var"]


@pytest.mark.parametrize(
    ("body", "path", "reason"),
    [
        ("luks: {discard: true}", "luks", slots_device.NO_METHOD),
        ("luks: {tpm2: true, threshold: 2}", "luks.threshold", slots_device.ONLY_THRESHOLD),
        ("mirror: {devices: []}", "mirror.devices", slots_device.NO_DEVICE),
        ("mirror: {devices: [/dev/a, /dev/a]}", "mirror.devices.1", slots_device.DEVICE_TWICE),
    ],
)
def test_a_var_that_nothing_could_open_is_refused(body: str, path: str, reason: str) -> None:
    (message,) = messages(f"boot_device: {{{body}}}", version="1.2.0")
    assert message.startswith(f"error at $.boot_device.{path}, line 3 col ")
    assert message.endswith(reason)


def test_the_users_of_grub_are_written_where_our_grub_looks() -> None:
    storage = config("grub: {users: [{name: a, password_hash: h}]}", version="1.2.0", validate=validate)["storage"]
    (file,) = storage["files"]
    assert (file["path"], file["mode"]) == ("/boot/grub/user.cfg", 0o600)
    assert "password_pbkdf2%20a%20h" in file["contents"]["source"]
    assert storage["filesystems"] == [{"device": "/dev/disk/by-label/boot", "format": "ext4", "path": "/boot"}]
    assert messages("grub: {users: [{password_hash: h}]}", version="1.2.0")[0].endswith(NO_NAME)


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
@pytest.mark.parametrize("key", ["boot_device: {luks: {tpm2: true}}", "grub: {users: []}"])
def test_the_early_versions_refuse_what_would_prepare_another_disk(version: str, key: str) -> None:
    (message,) = messages(key, version=version)
    assert message.endswith(ANOTHER_DISK)
