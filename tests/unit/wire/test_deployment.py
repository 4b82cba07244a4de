"""The record of a slot's release."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from nestos.base.errors import StateError
from nestos.wire.deployment import Deployment, document, parse, render
from nestos.wire.origin import Layers, Origin

RECORD = Deployment(
    version="13.20261123.0",
    commit="c" * 64,
    root_hash="a" * 64,
    hash_offset=4096,
    image_size=8192,
    kernel_digest="b" * 64,
    ref="nestos/x86_64/stable",
    kargs=("quiet", "console=ttyS0"),
    timestamp="2026-11-23T12:00:00Z",
)


def test_a_record_is_read_as_it_was_written() -> None:
    assert parse(render(RECORD), source="x") == RECORD


def test_fields_of_a_newer_program_are_kept() -> None:
    read = parse(json.dumps({**document(RECORD), "colour": "green"}), source="x")
    assert read == replace(RECORD, unknown={"colour": "green"})
    assert json.loads(render(read))["colour"] == "green"


def test_a_record_tells_wish_and_layers_only_where_there_are_some() -> None:
    assert "origin" not in render(RECORD)
    layered = replace(
        RECORD, layered_commit="d" * 64, origin=Origin(packages=("htop",)), layers=Layers(added={"htop": "3"})
    )
    assert parse(render(layered), source="x") == layered
    assert (RECORD.checksum, layered.checksum) == ("c" * 64, "d" * 64)


def test_what_may_be_absent_has_a_default() -> None:
    document = {name: value for name, value in asdict(RECORD).items() if name not in {"kargs", "timestamp"}}
    found = parse(json.dumps(document), source="x")
    assert (found.kargs, found.timestamp) == ((), "")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 13),
        ("commit", "abc"),
        ("root_hash", ""),
        ("root_hash", "A" * 64),
        ("hash_offset", "4096"),
        ("hash_offset", -1),
        ("image_size", None),
        ("image_size", True),
        ("kernel_digest", 5),
        ("ref", []),
        ("kargs", "quiet"),
        ("kargs", [1]),
    ],
)
def test_a_damaged_field_is_named_with_the_file(field: str, value: object) -> None:
    with pytest.raises(StateError, match=f'slot-a/deployment.json: "{field}" is not'):
        parse(json.dumps({**asdict(RECORD), field: value}), source="slot-a/deployment.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\0\0\0"])
def test_what_is_no_record_is_refused_with_the_file(text: str) -> None:
    with pytest.raises(StateError, match="slot-a"):
        parse(text, source="slot-a")
