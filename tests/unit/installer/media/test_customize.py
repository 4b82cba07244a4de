"""Options of `customize` become one config for the live system, which is checked before anything is written."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nestos.base.errors import InputError, StateError
from nestos.ignition.spec.parse import parse
from nestos.installer import dropin, options
from nestos.installer.media import customize, embedded, kargs
from nestos.installer.media.customize import Wishes

CONFIG = b'{"ignition": {"version": "3.4.0"}}'


@pytest.fixture
def at(tmp_path: Path) -> Path:
    (tmp_path / "a.ign").write_bytes(CONFIG)
    (tmp_path / "b.ign").write_bytes(b'{"ignition": {"version": "3.1.0"}}')
    (tmp_path / "wrong.ign").write_bytes(b'{"ignition": {"version": "3.4.0"}, "storage": {"files": [{"path": "x"}]}}')
    (tmp_path / "site.yaml").write_text("dest-device: /dev/vda\n")
    (tmp_path / "wrong.yaml").write_text("dest-devise: /dev/vda\n")
    (tmp_path / "choose.sh").write_text("#!/bin/sh\n")
    (tmp_path / "10-a.network").write_text("[Match]\n")
    (tmp_path / "a.nmconnection").write_text("[connection]\n")
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    return tmp_path


def decoded(source: str) -> bytes:
    return b64decode(source.removeprefix("data:;base64,"))


def made(wishes: Wishes) -> tuple[dict[str, Any], dict[str, tuple[int, bytes]]]:
    """The config of the live system, and the files in it."""
    data = customize.files(wishes)["config.ign"]
    assert not parse(data).report.is_fatal
    config = json.loads(data)
    entries = config.get("storage", {}).get("files", [])
    return config, {one["path"]: (one["mode"], decoded(one["contents"]["source"])) for one in entries}


def test_nothing_asked_for_embeds_nothing() -> None:
    assert customize.files(Wishes()) == {}
    assert not Wishes().installs


def test_one_config_for_the_installed_system_stays_as_it_is(at: Path) -> None:
    _, files = made(Wishes(dest_ignition=[at / "a.ign"], dest_device="/dev/vda", dest_karg_append=["a=b c", "d"]))
    assert files["/etc/nestos/dest.ign"] == (0o600, CONFIG)
    mode, text = files["/etc/nestos/installer.d/0000-customize.yaml"]
    assert mode == 0o600
    given = options.checked(dropin.parse(text.decode(), source="x"), source="x")
    assert given == {
        "dest-device": "/dev/vda",
        "ignition-file": "/etc/nestos/dest.ign",
        "append-karg": ["a=b c", "d"],
    }


def test_several_configs_are_merged_in_their_order(at: Path) -> None:
    wishes = Wishes(dest_ignition=[at / "a.ign", at / "b.ign"], ignition_ca=[at / "ca.pem"])
    live, files = made(wishes)
    dest = json.loads(files["/etc/nestos/dest.ign"][1])["ignition"]
    assert [json.loads(decoded(one["source"]))["ignition"]["version"] for one in dest["config"]["merge"]] == [
        "3.4.0",
        "3.1.0",
    ]
    for trusting in (dest, live["ignition"]):
        (authority,) = trusting["security"]["tls"]["certificateAuthorities"]
        assert decoded(authority["source"]).startswith(b"-----BEGIN")


def test_config_files_come_in_their_order_and_the_options_last(at: Path) -> None:
    _, files = made(Wishes(installer_config=[at / "site.yaml"], dest_console=["ttyS0"], pre_install=[at / "choose.sh"]))
    assert list(files) == [
        "/etc/nestos/installer.d/0000-site.yaml",
        "/etc/nestos/installer.d/0001-customize.yaml",
        "/etc/nestos/installer-pre.d/0000-choose.sh",
    ]
    assert files["/etc/nestos/installer-pre.d/0000-choose.sh"] == (0o700, b"#!/bin/sh\n")


def test_network_configuration_is_copied_only_where_something_is_installed(at: Path) -> None:
    alone = customize.files(Wishes(network=[at / "10-a.network"]))
    assert alone == {"etc/nestos-live-network/10-a.network": b"[Match]\n"}
    _, files = made(Wishes(network=[at / "10-a.network"], dest_device="/dev/vda"))
    assert b"copy-network: true\n" in files["/etc/nestos/installer.d/0000-customize.yaml"][1]


@pytest.mark.parametrize(
    ("wishes", "name", "sentence"),
    [
        (lambda path: Wishes(dest_ignition=[path]), "wrong.ign", "cannot be used"),
        (lambda path: Wishes(live_ignition=[path]), "wrong.ign", "cannot be used"),
        (lambda path: Wishes(installer_config=[path]), "wrong.yaml", "dest-devise"),
        (lambda path: Wishes(network=[path]), "a.nmconnection", "no network configuration of this system"),
        (lambda path: Wishes(pre_install=[path]), "none", "cannot read"),
    ],
    ids=["dest", "live", "installer", "network", "program"],
)
def test_what_would_fail_in_the_live_system_is_refused_now(
    at: Path, wishes: Callable[[Path], Wishes], name: str, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        customize.files(wishes(at / name))


def test_what_is_embedded_is_overwritten_only_by_force() -> None:
    files = embedded.with_config({}, CONFIG, source="x", force=False)
    with pytest.raises(StateError, match="embedded already"):
        embedded.with_config(files, CONFIG, source="x", force=False)
    assert embedded.config(embedded.with_config(files, CONFIG + b"\n", source="x", force=True)) == CONFIG + b"\n"
    both = embedded.with_network(files, {"a.network": b"1"}, force=False)
    with pytest.raises(StateError, match="embedded already"):
        embedded.with_network(both, {"b.network": b"2"}, force=False)
    assert embedded.network(embedded.with_network(both, {"b.network": b"2"}, force=True)) == {"b.network": b"2"}
    assert embedded.without_network(both) == files
    with pytest.raises(StateError, match="no Ignition config"):
        embedded.config(embedded.without_config(both))


def test_kernel_arguments_are_appended_deleted_and_replaced() -> None:
    changed = kargs.modified(["a=1", "b", "c=3"], append=["d=4"], delete=["b"], replace=["a=1=x=y"])
    assert changed == ["a=x=y", "c=3", "d=4"]


@pytest.mark.parametrize(
    ("change", "words"),
    [("delete", ["none"]), ("replace", ["a=2=3"]), ("replace", ["a=1"]), ("append", ["a b"]), ("append", [""])],
)
def test_an_argument_that_is_not_there_is_an_error(change: str, words: list[str]) -> None:
    with pytest.raises(InputError):
        kargs.modified(["a=1"], **{change: words})
