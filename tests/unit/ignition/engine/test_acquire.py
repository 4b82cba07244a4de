"""Where configs come from, in which order, and how they are merged."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from nestos.ignition.engine.acquire import command_line_value, empty
from tests.unit.ignition.engine.bench import Bench

CERTIFICATE = (Path(__file__).parent / "data/other-authority.pem").read_text()


def text_of(*paths: str, version: str = "3.3.0", **ignition: Any) -> str:
    """A config with empty files at these paths."""
    config = {"ignition": {"version": version, **ignition}, "storage": {"files": [{"path": path} for path in paths]}}
    return json.dumps(config)


def url_of(text: str) -> str:
    return "data:," + urllib.parse.quote(text)


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def files(machine: Bench) -> list[str]:
    return [file["path"] for file in machine.cached().get("storage", {}).get("files", [])]


def test_the_config_of_the_platform_is_left_for_the_stages(machine: Bench) -> None:
    machine.give(text_of("/a"))

    assert machine.stage("fetch-offline") == 0

    assert machine.cached() == {**empty(), "storage": {"files": [{"path": "/a"}]}}
    assert machine.cache.stat().st_mode & 0o777 == 0o640
    assert not machine.neednet.exists()


@pytest.mark.parametrize("content", ["", "  \n"])
def test_no_config_is_an_empty_config(content: str, machine: Bench) -> None:
    machine.give(content)

    assert machine.stage("fetch-offline") == 0
    assert machine.cached() == empty()


def test_base_configs_come_first_in_order_of_name_and_the_users_wins(machine: Bench) -> None:
    put(machine.folder / "lib-ignition/base.d/20-b.ign", text_of("/b", "/user"))
    put(machine.folder / "lib-ignition/base.d/10-a.ign", text_of("/a", version="3.0.0"))
    put(machine.folder / "lib-ignition/base.platform.d/file/05-p.ign", text_of("/p"))
    put(machine.folder / "lib-ignition/base.platform.d/qemu/05-q.ign", text_of("/q"))
    machine.give({"storage": {"links": [{"path": "/user", "target": "x"}]}})

    assert machine.stage("fetch-offline") == 0

    assert files(machine) == ["/a", "/b", "/p"]
    assert machine.cached()["storage"]["links"] == [{"path": "/user", "target": "x"}]


def test_a_base_config_is_overridden_by_one_of_its_name_in_a_more_important_folder(machine: Bench) -> None:
    put(machine.folder / "lib-ignition/base.d/10.ign", text_of("/lib"))
    put(machine.folder / "etc-ignition/base.d/10.ign", text_of("/etc-one"))
    machine.give({})

    machine.stage("fetch-offline")

    assert files(machine) == ["/etc-one"]


def test_a_file_in_the_initramfs_wins_over_the_platform(machine: Bench) -> None:
    put(machine.folder / "lib-ignition/user.ign", text_of("/lib"))
    put(machine.folder / "run-ignition/user.ign", text_of("/run"))
    machine.give(text_of("/platform"))

    machine.stage("fetch-offline")

    assert files(machine) == ["/run"]


def test_the_kernel_command_line_wins_over_everything(machine: Bench) -> None:
    put(machine.folder / "run-ignition/user.ign", text_of("/run"))
    put(machine.folder / "cmdline", f"quiet ignition.config.url={url_of(text_of('/url'))} ro\n")

    machine.stage("fetch-offline")

    assert files(machine) == ["/url"]


def test_a_url_that_needs_a_network_leaves_only_the_wish_for_one(machine: Bench) -> None:
    put(machine.folder / "cmdline", "ignition.config.url=http://user:secret@server/config?token=x\n")

    assert machine.stage("fetch-offline") == 0

    assert machine.neednet.exists()
    assert not machine.cache.exists()
    assert "secret" not in machine.said
    assert "token" not in machine.said
    assert "CRITICAL" not in machine.said


def test_contents_that_need_a_network_leave_the_wish_and_the_config(machine: Bench) -> None:
    machine.give({"storage": {"files": [{"path": "/a", "contents": {"source": "https://server/a"}}]}})

    assert machine.stage("fetch-offline") == 0

    assert machine.neednet.exists()
    assert files(machine) == ["/a"]


def test_referenced_configs_merge_depth_first_and_in_order(machine: Bench) -> None:
    grandchild = text_of("/grandchild", version="3.0.0")
    first = text_of("/first", config={"merge": [{"source": url_of(grandchild)}]})
    second = text_of("/second")
    machine.give(text_of("/parent", config={"merge": [{"source": url_of(first)}, {"source": url_of(second)}]}))

    assert machine.stage("fetch-offline") == 0, machine.said

    assert files(machine) == ["/parent", "/first", "/grandchild", "/second"]
    assert len(machine.cached()["ignition"]["config"]["merge"]) == 3  # a record of what was merged


def test_a_config_can_be_replaced_altogether(machine: Bench) -> None:
    replacement = text_of("/new", config={"merge": [{"source": url_of(text_of("/merged"))}]})
    machine.give(text_of("/old", config={"replace": {"source": url_of(replacement)}}))

    assert machine.stage("fetch-offline") == 0, machine.said

    assert files(machine) == ["/new", "/merged"]


def test_a_referenced_config_is_verified(machine: Bench) -> None:
    entry = {"source": url_of(text_of("/a")), "verification": {"hash": "sha256-" + "0" * 64}}
    machine.give(text_of(config={"merge": [entry]}))

    assert machine.stage("fetch-offline") == 1
    assert "hash verification failed" in machine.said


def test_a_mistake_in_a_referenced_config_is_told_with_its_place(machine: Bench) -> None:
    machine.give(text_of(config={"merge": [{"source": url_of('{"ignition": {"version": "9.0.0"}}')}]}))

    assert machine.stage("fetch-offline") == 1
    assert "data:...: error at $: unsupported config version" in machine.said


def test_what_only_the_merge_makes_wrong_is_found(machine: Bench) -> None:
    child = json.dumps({"ignition": {"version": "3.3.0"}, "storage": {"files": [{"path": "/l/a"}]}})
    machine.give(
        {
            "ignition": {"version": "3.3.0", "config": {"merge": [{"source": url_of(child)}]}},
            "storage": {"links": [{"path": "/l", "target": "/x"}]},
        }
    )

    assert machine.stage("fetch-offline") == 1
    assert "error at $.storage.files.0: file path includes link in config" in machine.said


def test_authorities_stand_in_the_config_once_they_are_fetched(machine: Bench) -> None:
    source = "data:," + urllib.parse.quote(CERTIFICATE)
    wrong = [{"source": source, "verification": {"hash": "sha512-" + "0" * 128}}]
    no_certificate = [{"source": "data:,CERT"}]
    packed = "data:;base64," + base64.b64encode(gzip.compress(CERTIFICATE.encode())).decode()
    good = [{"source": packed, "compression": "gzip"}, {"source": "data:,"}]
    for authorities, code in ((wrong, 1), (no_certificate, 1), (good, 0)):
        machine.give(text_of(security={"tls": {"certificateAuthorities": authorities}}))
        assert machine.stage("fetch-offline") == code, machine.said

    url = "data:text/plain;charset=utf-8;base64,"
    assert machine.cached()["ignition"]["security"]["tls"]["certificateAuthorities"] == [
        {"source": url + base64.b64encode(CERTIFICATE.encode()).decode()},
        {"source": url},
    ]


def test_two_sources_of_one_authority_are_no_duplicate_but_one_source_twice_is(machine: Bench) -> None:
    plain = {"source": "data:," + urllib.parse.quote(CERTIFICATE)}
    encoded = {"source": "data:;base64," + base64.b64encode(CERTIFICATE.encode()).decode()}
    for authorities, code in (([plain, plain], 1), ([plain, encoded], 0)):
        machine.give(text_of(security={"tls": {"certificateAuthorities": authorities}}))
        assert machine.stage("fetch-offline") == code, machine.said

    assert len(machine.cached()["ignition"]["security"]["tls"]["certificateAuthorities"]) == 1


NO_GZIP = {"source": "data:,x", "compression": "gzip"}


@pytest.mark.parametrize(
    ("ignition", "key"),
    [
        ({"config": {"merge": [{"source": url_of(text_of())}, NO_GZIP]}}, "$.ignition.config.merge.1"),
        ({"config": {"replace": NO_GZIP}}, "$.ignition.config.replace"),
        (
            {"security": {"tls": {"certificateAuthorities": [NO_GZIP]}}},
            "$.ignition.security.tls.certificateAuthorities.0",
        ),
    ],
)
def test_what_cannot_be_fetched_is_named_by_its_key(machine: Bench, ignition: dict[str, Any], key: str) -> None:
    machine.give(text_of(**ignition))

    assert machine.stage("fetch-offline") == 1
    assert f"Ignition failed: {key}.source: " in machine.said


def test_a_referenced_config_that_is_empty_says_nothing(machine: Bench) -> None:
    machine.give(text_of("/a", config={"merge": [{"source": "data:,"}]}))

    assert machine.stage("fetch-offline") == 0

    assert files(machine) == ["/a"]
    assert "the config data:... is empty" in machine.said


def test_warnings_are_logged(machine: Bench) -> None:
    machine.give('{"ignition": {"version": "3.3.0"}, "storag": {}}')

    assert machine.stage("fetch-offline") == 0
    assert "WARNING  : fetch-offline: op(1): file: warning at $.storag, line 1 col 36: unused key" in machine.said


def test_the_state_names_every_config_that_took_part(machine: Bench) -> None:
    put(machine.folder / "lib-ignition/base.d/10.ign", text_of("/a"))
    machine.give(text_of(config={"merge": [{"source": url_of(text_of("/b"))}]}))

    machine.stage("fetch-offline")

    state = json.loads((machine.folder / "run/state").read_text())
    assert state["fetchedConfigs"] == [
        {"kind": "base", "source": "system", "referenced": False},
        {"kind": "user", "source": "file", "referenced": False},
        {"kind": "user", "source": "", "referenced": True},
    ]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("a ignition.config.url=x b\n", "x"),
        ("ignition.config.url=x ignition.config.url=y", "y"),
        ('"ignition.config.url=a b" c', "a b"),
        ('ignition.config.url="a b" c', "a b"),
        ("ignition.config.url", ""),
        ("xignition.config.url=x", ""),
        ('quote="open ignition.config.url=x', "x"),
    ],
)
def test_words_of_the_kernel_command_line_are_read(line: str, value: str) -> None:
    assert command_line_value(line, "ignition.config.url") == value


def test_the_journal_is_told_of_every_config(machine: Bench) -> None:
    machine.give(text_of(config={"merge": [{"source": url_of(text_of("/b"))}]}))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(machine.folder / "journal"))

        assert machine.stage("fetch-offline") == 0, machine.said

        records = [journal.recv(4096).decode().splitlines() for _ in range(3)]
    assert [record[0] for record in records] == [
        'MESSAGE=fetched base config from "system"',
        'MESSAGE=fetched user config from "file"',
        'MESSAGE=fetched referenced user config from ""',
    ]
    assert {
        "MESSAGE_ID=57124006b5c94805b77ce473e92a8aeb",
        "PRIORITY=6",
        "IGNITION_CONFIG_TYPE=user",
        "IGNITION_CONFIG_SRC=",
        "IGNITION_CONFIG_REFERENCED=true",
    } <= set(records[2])
