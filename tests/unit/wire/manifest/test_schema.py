"""The JSON Schema agrees with the loader: what one accepts or refuses in one file, so does the other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml

from nestos.wire.manifest.keys import Status
from nestos.wire.manifest.schema import schema
from nestos.wire.manifest.treefile import TABLE
from tests.unit.wire.manifest.book import LEAST, Book
from tests.unit.wire.manifest.test_resolve import WRONG

_TYPES: Mapping[str, Callable[[object], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
}
_KNOWN = {
    *("$schema", "title", "description", "type", "properties", "additionalProperties", "required", "propertyNames"),
    *("items", "prefixItems", "minItems", "maxItems", "minLength", "pattern", "enum", "anyOf", "not"),
    *("minimum", "maximum"),
}


def valid(value: object, rule: Any) -> bool:
    """The part of JSON Schema that the manifest's schema uses; an unknown word in a rule is an error."""
    if isinstance(rule, bool):
        return rule
    assert rule.keys() <= _KNOWN, rule.keys() - _KNOWN
    return (
        ("type" not in rule or _TYPES[rule["type"]](value))
        and ("enum" not in rule or any(value == item and type(value) is type(item) for item in rule["enum"]))
        and ("anyOf" not in rule or any(valid(value, item) for item in rule["anyOf"]))
        and ("not" not in rule or not valid(value, rule["not"]))
        and _valid_inside(value, rule)
    )


def _valid_inside(value: object, rule: Any) -> bool:
    if isinstance(value, str):
        return len(value) >= rule.get("minLength", 0) and bool(re.search(rule.get("pattern", ""), value))
    if isinstance(value, (int, float)):
        return bool(rule.get("minimum", value) <= value <= rule.get("maximum", value))
    if isinstance(value, list):
        rules = [*rule.get("prefixItems", []), *[rule.get("items", True)] * len(value)]
        fits = rule.get("minItems", 0) <= len(value) <= rule.get("maxItems", len(value))
        return fits and all(valid(item, one) for item, one in zip(value, rules, strict=False))
    if isinstance(value, dict):
        properties = rule.get("properties", {})
        other = rule.get("additionalProperties", True)
        return (
            all(name in value for name in rule.get("required", []))
            and all(valid(name, rule.get("propertyNames", True)) for name in value)
            and all(valid(item, properties.get(name, other)) for name, item in value.items())
        )
    return True


def test_the_schema_is_plain_json() -> None:
    assert json.loads(json.dumps(schema())) == schema()


def test_the_schema_has_every_key_of_the_table() -> None:
    names = {name for key in TABLE for name in (key.name, *key.aliases)}
    assert names <= schema()["properties"].keys()


def test_no_two_rows_of_the_table_share_a_name() -> None:
    names = [name for key in TABLE for name in (key.name, *key.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("key", [key for key in TABLE if key.example], ids=lambda key: key.name)
def test_the_examples_of_the_table_satisfy_schema_and_loader(book: Book, key: Any) -> None:
    document = yaml.safe_load(key.example)
    assert valid(document, schema())
    assert list(document) == [key.name]
    book.write({"issue": "", "overlay/etc/x": "", "base.yaml": "{}", "containers.yaml": "{}"})
    book.write({"debug.yaml": "{}", "grub-x86_64.yaml": "{}"})
    least = [line for line in LEAST.splitlines() if not line.startswith(f"{key.name}:")]
    least += ["releasever: 13"] if key.name != "releasever" else []
    least += ["variables: {stream: stable}"] if key.name != "variables" else []
    if key.name == "repos":
        least = [line for line in least if not line.startswith("repositories")]
        least += ["repositories: {debian: {suite: a}, debian-security: {suite: b}, debian-updates: {suite: c}}"]
    book.load({"main.yaml": "\n".join([*least, key.example])}).good  # noqa: B018


# What several values together get wrong, or needs a file, is beyond a schema of one value.
BEYOND = {
    *("package-option-behind", "ref-variable", "reserved", "date", "repository", "suite", "excluded", "query"),
    *("regular-expression", "removal-outside", "removal-of-all", "same-uid"),
    *("same-gid", "size-odd", "level", "no-levels", "cluster", "script-file"),
    *("unknown-repository-field", "address"),  # these stand in an included mapping
}


@pytest.mark.parametrize("name", WRONG)
def test_the_schema_refuses_what_the_loader_refuses(name: str) -> None:
    document = yaml.safe_load(WRONG[name][0].replace(": no", ": 'no'"))
    assert valid(document, schema()) is (name in BEYOND)


def test_a_refused_key_satisfies_nothing() -> None:
    refused = [key.name for key in TABLE if key.status is Status.REFUSED]
    assert refused
    for name in refused:
        assert not valid({name: True}, schema())
