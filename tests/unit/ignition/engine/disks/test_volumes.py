"""LUKS volumes: the matrix of reuse, the commands in their order, clevis, and what the files stage is left."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, cast

import pytest

from nestos.ignition.engine.disks.clevis import pin_of
from nestos.ignition.engine.disks.signatures import Signature
from nestos.ignition.engine.disks.survey import StorageError
from nestos.ignition.engine.disks.volumes import Action, Present, decide, format_command, open_command
from nestos.ignition.spec.model import Luks
from tests.unit.host.scripted import Call
from tests.unit.ignition.engine.disks.blocks import Blocks

UUID = "0000000a-0000-4000-8000-000000000001"
LUKS = Signature(kind="crypto_LUKS", label="secret", uuid=UUID)
THERE = Present(version=2, signature=LUKS, key_opens=True)
KEY = {"keyFile": {"source": "data:,key"}}
TANG = {"url": "http://tang.example", "thumbprint": "thumb"}
OFFLINE = {**TANG, "advertisement": '{"payload": "x"}'}


def wanted(**fields: Any) -> Luks:
    return cast(Luks, {"name": "data", "device": "/dev/sda", **fields})


@pytest.mark.parametrize(
    ("present", "fields", "action", "reason"),
    [
        (Present(version=0, signature=Signature()), {}, Action.MAKE, ""),
        (Present(version=0, signature=Signature(kind="ext4")), {}, Action.REFUSE, "it holds ext4"),
        (Present(version=0, signature=Signature(kind="ext4")), {"wipeVolume": True}, Action.MAKE, ""),
        (Present(version=1, signature=LUKS), KEY, Action.REFUSE, "LUKS 1"),
        (Present(version=1, signature=LUKS), {"wipeVolume": True}, Action.MAKE, ""),
        (THERE, KEY, Action.KEEP, ""),
        (THERE, {**KEY, "label": "secret", "uuid": UUID.upper()}, Action.KEEP, ""),
        (THERE, {**KEY, "wipeVolume": True}, Action.MAKE, ""),
        (THERE, {}, Action.REFUSE, "the config has no keyFile to open it with"),
        (THERE, {**KEY, "clevis": {"tpm2": True}}, Action.REFUSE, "what clevis bound it to"),
        (THERE, {**KEY, "clevis": {"tang": [TANG]}}, Action.REFUSE, "what clevis bound it to"),
        (THERE, {**KEY, "clevis": {"custom": {"pin": "x", "config": "{}"}}}, Action.REFUSE, "what clevis bound it to"),
        (THERE, {**KEY, "clevis": {"threshold": 2}}, Action.REFUSE, "what clevis bound it to"),
        (THERE, {**KEY, "clevis": {"threshold": 0, "tpm2": False}}, Action.KEEP, ""),
        (THERE, {**KEY, "label": "x"}, Action.REFUSE, 'its label is "secret", not "x"'),
        (THERE, {**KEY, "uuid": "x"}, Action.REFUSE, f"its UUID is {UUID}, not x"),
        (THERE, {**KEY, "discard": True}, Action.REFUSE, "it has discard off, not on"),
        (THERE, {**KEY, "discard": False}, Action.KEEP, ""),
        (Present(version=2, signature=LUKS, discards=True, key_opens=True), KEY, Action.REFUSE, "discard on, not off"),
        (Present(version=2, signature=LUKS), KEY, Action.REFUSE, "the key in keyFile does not open it"),
    ],
)
def test_what_is_there_is_kept_replaced_or_refused(
    present: Present, fields: dict[str, Any], action: Action, reason: str
) -> None:
    decided, why = decide(present, wanted(**fields))

    assert decided is action
    assert reason in why


def test_a_volume_is_made_and_opened_with_all_that_the_config_says() -> None:
    volume = wanted(label="l", uuid=UUID, options=["--pbkdf", "pbkdf2"], discard=True, openOptions=["--perf-x"])

    assert format_command(volume, Path("/dev/x"), Path("/k")) == [
        *("cryptsetup", "luksFormat", "--batch-mode", "--type", "luks2", "--key-file", "/k"),
        *("--label", "l", "--uuid", UUID, "--pbkdf", "pbkdf2", "/dev/x"),
    ]
    assert open_command(volume, Path("/dev/x"), Path("/k")) == [
        *("cryptsetup", "luksOpen", "/dev/x", "data", "--key-file", "/k"),
        *("--persistent", "--allow-discards", "--perf-x"),
    ]


@pytest.mark.parametrize(
    ("clevis", "pin", "config"),
    [
        ({"tpm2": True}, "sss", {"pins": {"tpm2": {}}, "t": 1}),
        ({"tang": [TANG]}, "sss", {"pins": {"tang": [{"url": TANG["url"], "thp": "thumb"}]}, "t": 1}),
        (
            {"tang": [OFFLINE], "tpm2": True, "threshold": 2},
            "sss",
            {"pins": {"tang": [{"url": TANG["url"], "thp": "thumb", "adv": {"payload": "x"}}], "tpm2": {}}, "t": 2},
        ),
        ({"custom": {"pin": "tpm2", "config": '{"pcr_ids":"7"}'}}, "tpm2", {"pcr_ids": "7"}),
    ],
)
def test_clevis_is_given_its_pin(clevis: dict[str, Any], pin: str, config: dict[str, Any]) -> None:
    name, text = pin_of(wanted(clevis=clevis))

    assert (name, json.loads(text)) == (pin, config)


def empty_disk(blocks: Blocks) -> str:
    """A device with nothing on it."""
    blocks.runner.on("blkid", returncode=2)
    blocks.runner.on("isLuks", returncode=1)
    return blocks.disk("sda")


def state(blocks: Blocks) -> dict[str, Any]:
    path = blocks.bench.folder / "run/state"
    return cast(dict[str, Any], json.loads(path.read_text())) if path.exists() else {}


def key_of(blocks: Blocks, name: str) -> bytes:
    head, _, data = str(state(blocks)["luksPersistKeyFiles"][name]).partition(",")
    assert head == "data:;base64"
    return base64.b64decode(data)


def without_key(lines: list[str]) -> list[str]:
    return [" ".join("KEY" if "luks-key" in word else word for word in line.split()) for line in lines]


def test_a_volume_with_a_key_is_made_opened_and_its_key_left_for_the_files_stage(blocks: Blocks) -> None:
    device = empty_disk(blocks)
    seen: list[bytes] = []

    def look(call: Call) -> None:
        path = Path(call.line[call.line.index("--key-file") + 1])
        assert path.stat().st_mode & 0o777 == 0o400
        seen.append(path.read_bytes())

    blocks.runner.on("luksFormat", does=look)
    blocks.runner.on("luksOpen", does=look)

    blocks.run({"luks": [{"name": "data", "device": device, **KEY}]})

    assert without_key(blocks.written) == [
        "cryptsetup luksFormat --batch-mode --type luks2 --key-file KEY /dev/sda",
        "cryptsetup luksOpen /dev/sda data --key-file KEY --persistent",
    ]
    assert seen == [b"key", b"key"]
    assert key_of(blocks, "data") == b"key"
    assert list(blocks.bench.folder.rglob("luks-key*")) == []


def test_without_a_key_file_a_key_is_made_of_digits(blocks: Blocks) -> None:
    blocks.run({"luks": [{"name": "data", "device": empty_disk(blocks)}]})

    assert len(bytes.fromhex(key_of(blocks, "data").decode())) == 4096


def test_the_key_does_not_stay_when_the_volume_cannot_be_made(blocks: Blocks) -> None:
    device = empty_disk(blocks)
    blocks.runner.on("luksFormat", returncode=1)

    with pytest.raises(StorageError, match="this failed: "):
        blocks.run({"luks": [{"name": "data", "device": device, **KEY}]})

    assert list(blocks.bench.folder.rglob("luks-key*")) == []
    assert "luksPersistKeyFiles" not in state(blocks)


def test_an_empty_key_is_refused(blocks: Blocks) -> None:
    device = empty_disk(blocks)

    with pytest.raises(StorageError, match=r"\$.storage.luks.0.keyFile .*the key is empty"):
        blocks.run({"luks": [{"name": "data", "device": device, "keyFile": {"source": "data:,", "compression": ""}}]})


def test_a_volume_bound_by_clevis_loses_the_key_that_nobody_asked_for(blocks: Blocks) -> None:
    device = empty_disk(blocks)
    (blocks.top / "dev/tpmrm0").touch()

    blocks.run({"luks": [{"name": "data", "device": device, "wipeVolume": True, "clevis": {"tpm2": True}}]})

    assert without_key(blocks.written) == [
        "wipefs --all /dev/sda",
        "cryptsetup luksFormat --batch-mode --type luks2 --key-file KEY /dev/sda",
        "cryptsetup luksOpen /dev/sda data --key-file KEY --persistent",
        'clevis luks bind -f -k KEY -d /dev/sda sss {"pins":{"tpm2":{}},"t":1}',
        "cryptsetup luksClose data",
        "clevis luks unlock -d /dev/sda -n data",
        "cryptsetup luksRemoveKey /dev/sda KEY",
    ]
    assert "luksPersistKeyFiles" not in state(blocks)


def test_a_volume_whose_servers_are_not_there_yet_is_not_opened_by_them(blocks: Blocks) -> None:
    blocks.run({"luks": [{"name": "data", "device": empty_disk(blocks), **KEY, "clevis": {"tang": [OFFLINE]}}]})

    assert [line.split()[:3] for line in blocks.written][-1] == ["clevis", "luks", "bind"]
    assert key_of(blocks, "data") == b"key"


def test_more_pins_than_there_are_cannot_be_asked_for(blocks: Blocks) -> None:
    storage = {"luks": [{"name": "data", "device": empty_disk(blocks), "clevis": {"tang": [OFFLINE], "threshold": 2}}]}

    with pytest.raises(StorageError, match=r"\$.storage.luks.0.clevis.threshold .*2 pins are asked of 1"):
        blocks.run(storage)


def test_a_machine_without_a_tpm_is_told_before_anything_is_written(blocks: Blocks) -> None:
    device = empty_disk(blocks)

    with pytest.raises(StorageError, match=r"\$.storage.luks.0.clevis.tpm2 .*shows no TPM 2"):
        blocks.run({"luks": [{"name": "data", "device": device, "wipeVolume": True, "clevis": {"tpm2": True}}]})

    assert blocks.written == []


def test_a_volume_that_will_do_is_only_opened(blocks: Blocks) -> None:
    device = blocks.disk("sda")
    blocks.runner.on("blkid", stdout=f"ID_FS_TYPE=crypto_LUKS\nID_FS_UUID_ENC={UUID}\n")
    blocks.runner.on("luksDump", stdout='{"config": {"flags": ["allow-discards"]}}')

    blocks.run({"luks": [{"name": "data", "device": device, **KEY, "discard": True}]})

    assert without_key(blocks.written) == [
        "cryptsetup luksOpen /dev/sda data --key-file KEY --persistent --allow-discards"
    ]
    assert key_of(blocks, "data") == b"key"


def test_a_key_that_does_not_open_the_volume_is_told_before_anything_is_written(blocks: Blocks) -> None:
    device = blocks.disk("sda")
    blocks.runner.on("blkid", stdout=f"ID_FS_TYPE=crypto_LUKS\nID_FS_UUID_ENC={UUID}\n")
    blocks.runner.on("luksDump", stdout="{}")
    blocks.runner.on("--test-passphrase", returncode=2)

    with pytest.raises(StorageError, match=r"\$.storage.luks.0 .*the key in keyFile does not open it; set wipeVolume"):
        blocks.run({"luks": [{"name": "data", "device": device, **KEY}]})

    assert blocks.written == []


def test_a_name_that_is_taken_is_told_before_anything_is_written(blocks: Blocks) -> None:
    device = empty_disk(blocks)
    (blocks.top / "dev/mapper").mkdir()
    (blocks.top / "dev/mapper/data").touch()

    with pytest.raises(StorageError, match=r"\$.storage.luks.0.name .*dev/mapper/data exists already"):
        blocks.run({"luks": [{"name": "data", "device": device}]})


def test_a_key_of_a_crypto_card_is_refused_where_there_is_no_card(blocks: Blocks) -> None:
    device = empty_disk(blocks)

    with pytest.raises(StorageError, match=r"\$.storage.luks.0.cex .*no such card"):
        blocks.run({"luks": [{"name": "data", "device": device, "cex": {"enabled": True}}]})


def test_a_key_of_a_crypto_card_is_made_by_the_card_and_left_for_the_files_stage(blocks: Blocks) -> None:
    device = empty_disk(blocks)
    for name, mode in (("card00", "cca"), ("00.0001", "cca"), ("01.0002", "ep11")):
        folder = blocks.top / "sys/bus/ap/devices" / name
        folder.mkdir(parents=True)
        (folder / "uevent").write_text(f"DEV_TYPE=0\nMODE={mode}\n")
    (blocks.top / "etc/luks").mkdir(parents=True)
    (blocks.top / "etc/luks/cex.key").write_bytes(b"common")
    repository = blocks.top / "etc/zkey/repository"

    def made(_: Call) -> None:
        (repository / "ignition-luks-data.skey").write_bytes(b"x" * 136)
        (repository / "ignition-luks-data.info").write_bytes(b"about")

    blocks.runner.on("zkey", "generate", does=made)

    blocks.run({"luks": [{"name": "data", "device": device, "cex": {"enabled": True}}]})

    zkey, form, setvp, _ = without_key(blocks.written)
    assert zkey.startswith("zkey generate --name ignition-luks-data --key-type CCA-AESCIPHER --xts")
    assert zkey.endswith("--apqns 00.0001")
    assert form.endswith(
        "/dev/sda --volume-key-file /etc/zkey/repository/ignition-luks-data.skey "
        "--cipher paes-xts-plain64 --key-size 1088"
    )
    assert setvp == "zkey-cryptsetup setvp /dev/sda --key-file KEY"
    assert key_of(blocks, "data") == b"common"
    assert set(state(blocks)["luksPersistVolumeKeyFiles"]) == {"ignition-luks-data.info", "ignition-luks-data.skey"}


def test_a_file_system_on_a_volume_is_made_when_the_volume_is_open(blocks: Blocks) -> None:
    device = empty_disk(blocks)
    mapper = blocks.top / "dev/mapper/data"
    mapper.parent.mkdir()
    blocks.runner.on("luksOpen", does=lambda _: mapper.touch())

    blocks.run(
        {
            "luks": [{"name": "data", "device": device}],
            "filesystems": [{"device": str(mapper), "format": "ext4"}],
        }
    )

    assert blocks.written[-1] == "mkfs.ext4 -F /dev/mapper/data"


def test_a_volume_is_ready_only_when_udev_has_seen_it(blocks: Blocks) -> None:
    device = empty_disk(blocks)
    blocks.start_udev()

    blocks.run({"luks": [{"name": "data", "device": device, **KEY}]})

    assert blocks.written[-1] == "udevadm trigger --settle /dev/sda"
