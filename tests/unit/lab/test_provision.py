from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nestos.base.errors import InputError
from nestos.lab import provision

KEY = "ssh-ed25519 AAAA lab"


def test_the_key_goes_to_the_default_user_of_an_empty_config() -> None:
    config = provision.with_key(provision.EMPTY, key=KEY)
    assert config["passwd"]["users"] == [{"name": "nest", "sshAuthorizedKeys": [KEY]}]
    assert "passwd" not in provision.EMPTY


def test_the_key_is_added_to_those_the_config_has() -> None:
    config = {"passwd": {"users": [{"name": "nest", "uid": 1, "sshAuthorizedKeys": ["other"]}]}}
    once = provision.with_key(config, key=KEY)
    assert once["passwd"]["users"] == [{"name": "nest", "uid": 1, "sshAuthorizedKeys": ["other", KEY]}]
    assert provision.with_key(once, key=KEY) == once


@pytest.mark.parametrize(
    "config",
    [
        {"passwd": []},
        {"passwd": {"users": "nest"}},
        {"passwd": {"users": ["nest"]}},
        {"passwd": {"users": [{"name": "nest", "sshAuthorizedKeys": "key"}]}},
    ],
    ids=["passwd", "users", "user", "keys"],
)
def test_a_config_of_the_wrong_shape_is_left_for_ignition_to_refuse(config: dict[str, Any]) -> None:
    before = json.dumps(config)
    assert json.dumps(provision.with_key(config, key=KEY)) == before


def test_a_config_becomes_a_fw_cfg_entry_that_only_we_read(tmp_path: Path) -> None:
    name, path = provision.fw_cfg({"ignition": {"version": "3.4.0"}}, folder=tmp_path / "one")
    assert name == "opt/com.coreos/config"
    assert json.loads(path.read_text()) == {"ignition": {"version": "3.4.0"}}
    assert path.stat().st_mode & 0o777 == 0o600


def test_text_is_handed_over_unchanged(tmp_path: Path) -> None:
    _, path = provision.fw_cfg('{"broken', folder=tmp_path)
    assert path.read_text() == '{"broken'


def test_a_butane_file_is_translated_with_the_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "motd").write_text("hello")
    config = tmp_path / "node.bu"
    config.write_text(
        "variant: fcos\nversion: 1.5.0\nstorage:\n  files:\n    - path: /etc/motd\n      contents: {local: motd}\n"
    )
    assert provision.from_butane(config)["storage"]["files"][0]["contents"]["source"] == "data:,hello"


def test_what_is_wrong_with_a_butane_file_is_told_with_its_name(tmp_path: Path) -> None:
    config = tmp_path / "node.bu"
    config.write_text("variant: fcos\nversion: 1.5.0\nstorage: {fils: []}\n")
    with pytest.raises(InputError, match=r"node\.bu"):
        provision.from_butane(config, strict=True)


@pytest.mark.parametrize(("text", "reason"), [("variant: fcos", "is not JSON"), ("[]", "is not a JSON object")])
def test_an_ignition_file_must_be_an_object(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "c.ign").write_text(text)
    with pytest.raises(InputError, match=reason):
        provision.from_ignition(tmp_path / "c.ign")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*none\.ign"):
        provision.from_ignition(tmp_path / "none.ign")
