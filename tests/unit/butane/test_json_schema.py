"""The schema for editors: every reference leads somewhere, and it holds what the tables hold."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nestos.butane import VARIANTS, json_schema


def references(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*(references(item) for item in value))
    if not isinstance(value, dict):
        return set()
    own = {value["$ref"]} if "$ref" in value else set()
    return own.union(*(references(item) for item in value.values()))


@pytest.mark.parametrize("schema", [json_schema.of_variants(), json_schema.of_version("nestos", "1.2.0")])
def test_every_reference_leads_to_a_definition(schema: dict[str, Any]) -> None:
    assert references(schema) == {f"#/$defs/{name}" for name in schema["$defs"]}
    json.dumps(schema)


def test_a_version_has_its_own_keys_and_no_later_ones() -> None:
    old = json_schema.of_version("fcos", "1.5.0")
    new = json_schema.of_version("fcos", "1.6.0")
    assert "cex" not in old["$defs"]["Luks"]["properties"]
    assert new["$defs"]["Luks"]["properties"]["cex"]["$ref"] == "#/$defs/Cex"
    assert new["$defs"]["Luks"]["required"] == ["name"]
    assert new["properties"]["version"] == {"const": "1.6.0"}


def test_the_header_chooses_among_all_versions() -> None:
    schema = json_schema.of_variants()
    count = sum(len(variant.versions) for variant in VARIANTS.values())
    assert len(schema["allOf"]) == count
    assert all(item["then"]["additionalProperties"] is False for item in schema["allOf"])


def test_what_must_not_be_written_is_not_offered() -> None:
    assert "boot_device" not in json_schema.of_version("nestos", "1.0.0")["properties"]
