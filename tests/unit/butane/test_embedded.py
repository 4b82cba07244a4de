"""Keys and units from local files, and modes that were meant to be octal."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestos.butane.embedded import DECIMAL_MODE, TOO_MANY_CONTENTS
from nestos.butane.local_files import NO_FILES_DIR
from tests.unit.butane.source import config, messages, write_files


def test_each_line_of_a_key_file_is_a_key_behind_those_written_out(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.pub": "key one\r\n\nkey two\n", "b.pub": "key three"})
    body = "passwd: {users: [{name: nest, ssh_authorized_keys: [zero], ssh_authorized_keys_local: [a.pub, b.pub]}]}"
    assert config(body, files_dir=tmp_path) == {
        "passwd": {
            "users": [{"name": "nest", "sshAuthorizedKeys": ["zero", "key one", "key two", "key three"]}],
        }
    }


def test_a_key_file_that_cannot_be_read_is_named_by_its_entry(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.pub": "key"})
    body = "passwd:\n  users:\n    - name: nest\n      ssh_authorized_keys_local:\n        - a.pub\n        - b.pub\n"
    assert messages(body, files_dir=tmp_path) == [
        "error at $.passwd.users.0.ssh_authorized_keys_local.1, line 8 col 11: "
        f"open {tmp_path}/b.pub: no such file or directory"
    ]


def test_units_and_dropins_come_from_local_files(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.service": "[Service]\n", "more.conf": "[Unit]\n"})
    body = """
        systemd:
          units:
            - name: a.service
              contents_local: a.service
              dropins: [{name: more.conf, contents_local: more.conf}]
    """
    assert config(body, files_dir=tmp_path)["systemd"]["units"] == [
        {
            "name": "a.service",
            "contents": "[Service]\n",
            "dropins": [{"name": "more.conf", "contents": "[Unit]\n"}],
        }
    ]


def test_what_is_not_utf_8_in_a_unit_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.service").write_bytes(b"#\xff")
    result = config("systemd: {units: [{name: a.service, contents_local: a.service}]}", files_dir=tmp_path)
    assert result["systemd"]["units"][0]["contents"] == "#\ufffd"


@pytest.mark.parametrize(
    ("unit", "path", "reason"),
    [
        ("{name: a.service, contents: x, contents_local: y}", "contents_local", TOO_MANY_CONTENTS),
        ("{name: a.service, contents_local: y}", "contents_local", NO_FILES_DIR),
        (
            "{name: a.service, dropins: [{name: b.conf, contents: x, contents_local: y}]}",
            "dropins.0.contents_local",
            TOO_MANY_CONTENTS,
        ),
    ],
)
def test_contents_have_one_source(unit: str, path: str, reason: str) -> None:
    (message,) = messages(f"systemd: {{units: [{unit}]}}")
    assert message.startswith(f"error at $.systemd.units.0.{path}, line 3 col ")
    assert message.endswith(f": {reason}")


@pytest.mark.parametrize("mode", ["644", "755", "600", "640", "4755", "2755"])
def test_a_decimal_mode_of_a_file_is_warned_of(mode: str) -> None:
    (message,) = messages(f"storage: {{files: [{{path: /a, mode: {mode}}}]}}")
    assert message == f"warning at $.storage.files.0.mode, line 3 col 36: {DECIMAL_MODE}"


@pytest.mark.parametrize(
    "mode", ["0644", "420", "0", "0o755", "493", "888", "0777", "0111", "7777777", "-1", "1", "744", "4644", "4757"]
)
def test_a_mode_that_may_be_meant_is_not_warned_of(mode: str) -> None:
    assert messages(f"storage: {{files: [{{path: /a, mode: {mode}}}]}}") == []


@pytest.mark.parametrize(("mode", "warned"), [("755", True), ("1777", True), ("0755", False), ("01777", False)])
def test_a_decimal_mode_of_a_directory_is_warned_of(mode: str, *, warned: bool) -> None:
    assert bool(messages(f"storage: {{directories: [{{path: /a, mode: {mode}}}]}}")) is warned
