"""Configs as text: what is accepted, and every finding with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nestos.ignition.spec.parse import parse, validate
from nestos.ignition.spec.versions import NEWEST, VERSIONS

SHA512 = "sha512-" + "0" * 128
SHA256 = "sha256-" + "0" * 64


def findings(version: str, **sections: Any) -> list[str]:
    """The findings of a config as text, without their places."""
    ignition = {"version": version, **sections.pop("ignition", {})}
    report = parse(json.dumps({"ignition": ignition, **sections}).encode()).report
    return [f"{item.severity} {item.pointer}: {item.message}" for item in report]


def file(**fields: Any) -> dict[str, Any]:
    return {"files": [{"path": "/a", **fields}]}


@pytest.mark.parametrize("version", [version.name for version in VERSIONS])
def test_the_smallest_config_of_every_version_becomes_one_of_the_newest(version: str) -> None:
    parsed = parse(json.dumps({"ignition": {"version": version}}).encode())

    assert (parsed.version, parsed.config, len(parsed.report)) == (version, {"ignition": {"version": NEWEST.name}}, 0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not a config (empty)"),
        ("{}", "invalid config version (couldn't parse)"),
        ('{"ignition": {}}', "invalid config version (couldn't parse)"),
        ('{"ignition": {"version": "x"}}', "invalid config version (couldn't parse)"),
        ('{"ignition": {"version": "2.3.0"}}', "unsupported config version"),
        ('{"ignition": {"version": "3.9.0"}}', "unsupported config version"),
        ('{"ignition": {"version": "3.0.0-experimental"}}', "unsupported config version"),
    ],
)
def test_a_text_that_is_no_config_of_a_known_version_is_hopeless(text: str, problem: str) -> None:
    parsed = parse(text.encode())

    assert parsed.config is None
    assert parsed.report.is_fatal
    assert parsed.problem == problem


def test_findings_are_printed_with_path_line_and_column() -> None:
    text = '{"ignition": {"version": "3.3.0"},\n "storage": {"files": [{"path": "x"}]},\n "storag": 1}'

    assert str(parse(text.encode()).report).splitlines() == [
        "error at $.storage.files.0.path, line 2 col 33: path not absolute",
        "warning at $.storag, line 3 col 2: unused key storag",
    ]
    assert [item.hint for item in parse(text.encode()).report] == ["", 'did you mean "storage"?']


def test_the_first_value_of_a_wrong_type_is_the_error_and_all_of_them_are_its_hint() -> None:
    storage = {"files": [{"path": 1, "mode": "0644"}, "x"], "links": {}}
    text = json.dumps({"ignition": {"version": "3.3.0"}, "storage": storage})

    (finding,) = parse(text.encode()).report

    assert str(finding) == (
        "error at line 1 col 68: json: cannot unmarshal number into Go struct field "
        "File.storage.files.Node.path of type string"
    )
    assert finding.hint == (
        "$.storage.files.0.path must be a string (line 1 col 67); "
        "$.storage.files.0.mode must be a whole number (line 1 col 78); "
        "$.storage.files.1 must be an object (line 1 col 87); $.storage.links must be a list (line 1 col 102)"
    )


REPORTS = json.loads(Path(__file__).with_name("data").joinpath("reports.json").read_text())


@pytest.mark.parametrize("case", REPORTS, ids=[str(number) for number in range(len(REPORTS))])
def test_reports_have_the_lines_that_tools_know(case: dict[str, Any]) -> None:
    parsed = parse(case["text"].encode())

    assert parsed.problem == case.get("problem", "")
    if not parsed.problem:
        assert sorted(str(item) for item in parsed.report) == sorted(case["lines"])


def test_a_hint_says_how_a_key_in_another_case_is_read() -> None:
    parsed = parse(b'{"Ignition": {"VERSION": "3.0.0"}, "storage": {"files": [{"PATH": "/a"}]}}')

    assert parsed.config is not None
    assert parsed.config["storage"]["files"][0]["path"] == "/a"
    assert [item.hint for item in parsed.report] == ["Ignition is read as ignition", "PATH is read as path"]


def test_a_key_that_comes_twice_adds_to_what_was_there() -> None:
    parsed = parse(
        b'{"ignition": {"version": "3.0.0"}, "storage": {"files": [{"path": "/a"}]},'
        b' "storage": {"files": [{"mode": 420}, {"path": "/b"}], "links": null}}'
    )

    assert parsed.config is not None
    assert parsed.config["storage"] == {"files": [{"path": "/a", "mode": 420}, {"path": "/b"}]}


def test_null_says_nothing_but_for_a_warning_where_an_object_is_expected() -> None:
    parsed = parse(b'{"ignition": {"version": "3.3.0"}, "storage": null, "passwd": {"users": null}}')

    assert parsed.config == {"ignition": {"version": NEWEST.name}, "passwd": {}}
    assert [item.pointer for item in parsed.report] == ["$.storage"]


CASES = json.loads(Path(__file__).with_name("data").joinpath("findings.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=[f"{case['version']} {case['finding'][:90]}" for case in CASES])
def test_what_is_wrong_or_doubtful_is_the_only_finding(case: dict[str, Any]) -> None:
    assert findings(case["version"], **case["sections"]) == [case["finding"]]


@pytest.mark.parametrize(
    ("version", "storage"),
    [
        ("3.0.0", file(contents={"source": ""}, overwrite=True)),
        ("3.6.0", file(mode=0o4755)),
        ("3.4.0", file(contents={"source": "arn:aws:s3:::bucket/key?versionId=1"})),
        ("3.4.0", file(contents={"source": "HTTPS://[::1]:80/a%20b"})),
        ("3.7.0-experimental", {"filesystems": [{"device": "tag", "format": "virtiofs", "path": "/m"}]}),
        ("3.6.0", {"luks": [{"name": "a", "device": "/d", "clevis": {"custom": {"pin": "own", "config": "{}"}}}]}),
        ("3.3.0", {"filesystems": [{"device": "/d", "format": "none"}]}),
        ("3.3.0", {"raid": [{"name": "r", "level": "raid1", "devices": ["/a", "/b"], "options": ["-v", "-v"]}]}),
    ],
)
def test_what_a_version_allows_has_no_findings(version: str, storage: dict[str, Any]) -> None:
    assert findings(version, storage=storage) == []


def test_what_could_not_be_left_out_before_33_wins_over_a_parent() -> None:
    text = b'{"ignition": {"version": "3.2.0"}, "storage": {"links": [{"path": "/l"}]}}'

    config = parse(text).config

    assert config is not None
    assert config["storage"]["links"] == [{"path": "/l", "target": ""}]


def test_special_mode_bits_without_effect_in_their_version_are_taken_away_on_the_way_up() -> None:
    old = parse(json.dumps({"ignition": {"version": "3.5.0"}, "storage": file(mode=0o4755)}).encode()).config
    new = parse(json.dumps({"ignition": {"version": "3.6.0"}, "storage": file(mode=0o4755)}).encode()).config

    assert old is not None and old["storage"]["files"][0]["mode"] == 0o755
    assert new is not None and new["storage"]["files"][0]["mode"] == 0o4755


@pytest.mark.parametrize(
    "data", [b"\xff\xfe{", b"\xef\xbb\xbf{}", b'{"ignition":{"version":"3.0.0"},"a":"\\ud800"}', b"null"]
)
def test_odd_bytes_give_a_report_and_never_an_exception(data: bytes) -> None:
    str(parse(data).report).encode()


def test_a_config_that_came_of_a_merge_is_validated_too() -> None:
    report = validate({"ignition": {"version": NEWEST.name}, "storage": {"files": [{"path": "/a"}, {"path": "/a"}]}})

    assert [item.message for item in report] == ["duplicate entry defined"]
