"""The public entry: choice of the translator, strictness, the check that is passed in, and any text at all."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestos.base.errors import InputError
from nestos.base.report import Finding, Severity
from nestos.butane import Translation, translate
from nestos.butane.translation import BAD_VERSION, NO_VARIANT, STRICT
from tests.unit.butane.source import nestos, told

HEADERS: dict[str, tuple[str, str]] = {
    "nothing": ("", NO_VARIANT),
    "only a comment": ("# hello", NO_VARIANT),
    "no variant": ("version: 1.0.0", NO_VARIANT),
    "null variant": ("variant:\nversion: 1.0.0", NO_VARIANT),
    "text": (
        "hello",
        "Error unmarshaling yaml: yaml: unmarshal errors:\n"
        "  line 1: cannot unmarshal !!str `hello` into config.commonFields",
    ),
    "variant that is a list": (
        "variant: []",
        "Error unmarshaling yaml: yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into string",
    ),
    "unknown variant": (
        "variant: nestoss\nversion: 1.0.0",
        "No translator exists for variant nestoss with version 1.0.0",
    ),
    "no version": ("variant: nestos", BAD_VERSION),
    "version that is a number": ("version: 1.0\nvariant: nestos", BAD_VERSION),
    "unknown version": (
        "variant: fcos\nversion: 01.9.0-experimental",
        "No translator exists for variant fcos with version 1.9.0-experimental",
    ),
    "variant that was removed": (
        "variant: rhcos\nversion: 0.1.0",
        "rhcos variant has been removed; use openshift variant instead: "
        "https://coreos.github.io/butane/upgrading-openshift/",
    ),
}


@pytest.mark.parametrize(("text", "problem"), HEADERS.values(), ids=HEADERS.keys())
def test_a_header_that_names_no_translator_is_refused(text: str, problem: str) -> None:
    translation = translate(text)
    assert told(translation) == [problem]
    assert translation.config is None


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("version: 1.0.0", "known are nestos, fcos, flatcar, openshift, r4e, fiot"),
        ("variant: nestoss\nversion: 1.0.0", "known are nestos, fcos, flatcar, openshift, r4e, fiot"),
        ("variant: fiot\nversion: 9.0.0", "known are 1.0.0, 1.1.0-experimental"),
    ],
)
def test_what_is_known_is_the_hint(text: str, hint: str) -> None:
    assert translate(text).hint == hint
    with pytest.raises(InputError) as caught:
        translate(text).require()
    assert caught.value.hint == hint


UNUSED: dict[str, tuple[str, str, str]] = {
    "at the top": (
        "strage: {}",
        "warning at $.strage, line 3 col 1: unused key strage",
        'did you mean "storage"?',
    ),
    "with nothing like it": ("xyz: {}", "warning at $.xyz, line 3 col 1: unused key xyz", ""),
    "deep": (
        "systemd:\n  units:\n    - name: a.service\n      enable: true",
        "warning at $.systemd.units.0.enable, line 6 col 7: unused key enable",
        'did you mean "enabled"?',
    ),
    "in the words of JSON": (
        "passwd: {users: [{name: a, sshAuthorizedKeys: []}]}",
        "warning at $.passwd.users.0.sshAuthorizedKeys, line 3 col 28: unused key sshAuthorizedKeys",
        'did you mean "ssh_authorized_keys"?',
    ),
}


@pytest.mark.parametrize(("body", "message", "hint"), UNUSED.values(), ids=UNUSED.keys())
def test_an_unknown_key_is_a_warning_and_the_nearest_one_is_the_hint(body: str, message: str, hint: str) -> None:
    translation = nestos(body)
    assert told(translation) == [message]
    assert [finding.hint for finding in translation.report] == [hint]
    assert translation.config is not None


def test_strict_refuses_a_config_with_warnings() -> None:
    translation = nestos("xyz: {}", strict=True)
    assert translation.config is None
    with pytest.raises(InputError, match=STRICT):
        translation.require()


def test_strict_accepts_a_config_without_warnings() -> None:
    assert nestos("", strict=True).require() == {"ignition": {"version": "3.4.0"}}


def test_require_raises_with_every_finding() -> None:
    body = "xyz: {}\nstorage: {trees: [{path: /a}]}"
    with pytest.raises(InputError, match=r"(?s)source config is invalid.*unused key xyz.*trees.0, line 4") as caught:
        nestos(body).require()
    assert caught.value.kind == "butane"


def test_a_source_names_the_document_in_findings() -> None:
    assert str(nestos("xyz: {}", source="node.bu").report).startswith("node.bu: warning at $.xyz, line 3")


def reported_at(*path: str | int) -> list[Finding]:
    return [Finding(severity=Severity.ERROR, message="wrong", path=path)]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("storage", "files", 1, "path"), "$.storage.files.1.path, line 6 col 13"),
        (("storage", "files", 1, "contents", "source"), "$.storage.files.1.contents.inline, line 7 col 26"),
        (("storage", "files", 1, "overwrite"), "$.storage.files.1.overwrite, line 6 col 7"),
        (("storage", "disks", 0, "partitions", 0, "sizeMiB"), "$.storage.disks.0.partitions.0.size_mib, line 9 col 31"),
        (
            ("storage", "disks", 0, "partitions", 0, "typeGuid"),
            "$.storage.disks.0.partitions.0.type_guid, line 9 col 20",
        ),
        (("ignition", "version"), "$.version, line 2 col 10"),
        (("ignition", "timeouts", "httpTotal"), "$.ignition.timeouts.http_total, line 1 col 1"),
    ],
)
def test_findings_of_the_check_that_is_passed_in_lead_back_to_the_source(
    path: tuple[str | int, ...], place: str
) -> None:
    body = """
        storage:
          files:
            - path: /a
            - path: /b
              contents: {inline: x}
          disks:
            - partitions: [{size_mib: 3}]
    """
    translation = nestos(body, validate=lambda _: reported_at(*path))
    assert str(translation.report) == f"error at {place}: wrong"
    assert translation.config is None


def test_the_check_sees_the_finished_config_and_only_one_worth_checking() -> None:
    seen: list[dict[str, Any]] = []

    def validate(config: dict[str, Any]) -> list[Finding]:
        seen.append(config)
        return []

    assert nestos("", validate=validate).config == {"ignition": {"version": "3.4.0"}}
    nestos("passwd: 3", validate=validate)
    assert seen == [{"ignition": {"version": "3.4.0"}}]


INNER = "variant: nestos\nversion: 1.1.0\n"


def merged(tmp_path: Path, inner: str, **options: Any) -> Translation:
    (tmp_path / "inner.bu").write_text(inner)
    body = "ignition: {config: {merge: [{local: inner.bu}]}}"
    return nestos(body, version=options.pop("version", "1.2.0"), files_dir=tmp_path, **options)


def test_a_butane_config_can_include_another(tmp_path: Path) -> None:
    found = merged(tmp_path, INNER + "kernel_arguments: {should_exist: [a]}\n").require()
    (entry,) = found["ignition"]["config"]["merge"]
    assert entry["compression"] == ""
    inner = json.loads(base64.b64decode(entry["source"].removeprefix("data:;base64,")))
    assert inner == {"ignition": {"version": "3.4.0"}, "kernelArguments": {"shouldExist": ["a"]}}


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (INNER + "xyz: 1\n", "warning at {path}: inner.bu: warning at $.xyz, line 3 col 1: unused key xyz"),
        (INNER + "passwd: 3\n", "error at {path}: inner.bu: yaml: unmarshal errors:"),
        (
            INNER.replace("1.1.0", "1.2.0") + "ignition: {config: {merge: [{local: inner.bu}]}}\n",
            "error at {path}: inner.bu: error at ",
        ),
    ],
)
def test_what_is_wrong_with_an_included_config_is_told_where_it_is_included(
    tmp_path: Path, inner: str, message: str
) -> None:
    (found,) = told(merged(tmp_path, inner))
    assert found.startswith(message.replace("{path}", "$.ignition.config.merge.0.local, line 3 col 37"))


def test_where_configs_do_not_include_others_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    (entry,) = merged(tmp_path, "{}", version="1.1.0").require()["ignition"]["config"]["merge"]
    assert unquote(entry["source"]) == "data:,{}"


SHARDS = st.sampled_from(
    [
        *(
            "variant: nestos\n",
            "version: 1.1.0\n",
            "storage:",
            "files:",
            "filesystems:",
            "trees:",
            "units:",
            "systemd:",
        ),
        *("path: /a", "contents:", "inline: ", "local: x", "with_mount_unit: true", "format: swap", "mode: 0644"),
        *(
            "\n",
            "\n  ",
            "\n    ",
            "\n      ",
            "- ",
            ": ",
            ", ",
            "{",
            "}",
            "[",
            "]",
            "&a ",
            "*a",
            "<<: ",
            "? ",
            "|",
            ">-",
        ),
        *("!!binary ", "!<x> ", "%YAML 1.1\n", "---\n", "...\n", "'", '"', "\\ud800", "\\0", "\\U00110000", "#", "\t"),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(SHARDS, max_size=40).map("".join)))
def test_any_text_ends_in_a_report(text: str) -> None:
    translation = translate(text, strict=True)
    assert (translation.config is None) == bool(translation.problem)
    "".join(told(translation)).encode(errors="strict")


def yaml_values() -> st.SearchStrategy[Any]:
    """Values of any shape under keys that the language knows, so that they reach every table."""
    words = ["storage", "files", "links", "trees", "filesystems", "disks", "passwd", "users", "systemd", "units"]
    words += ["path", "mode", "contents", "inline", "local", "source", "name", "format", "with_mount_unit", "ignition"]
    leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(words), inner, max_size=4),
        max_leaves=15,
    )


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["storage", "passwd", "systemd", "ignition"]), yaml_values()))
def test_any_shape_ends_in_a_report(document: dict[str, Any]) -> None:
    body = json.dumps({"variant": "nestos", "version": "1.1.0", **document})
    translation = translate(body)
    assert bool(translation.problem) == (translation.config is None)
