"""What holds for any config: made at random from the tables of the language, or from bytes."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nestos.butane import VARIANTS, rendering, translate
from nestos.butane.document import DocumentError, parse
from nestos.butane.schema import Anything, Kind, ListOf, Scalar, Table, TextMap
from nestos.cli.butane_inspection import inspect, validate

VERSIONS = [(name, version) for name, variant in VARIANTS.items() for version in variant.versions]
WORDS = [
    "",
    "a",
    "/var/a",
    "/dev/a",
    "root",
    "a.service",
    "a.container",
    "t@1.container",
    "ext4",
    "swap",
    "data:,x",
    "gzip",
]
WORDS += [
    "x86_64",
    "s390x-eckd",
    "http://a",
    "raid1",
    "core",
    "3.0.0",
    '{"ignition": {"version": "3.4.0"}}',
    "\x85é",
    "{",
]

TEXTS = st.sampled_from(WORDS) | st.text(st.characters(codec="utf-8"), max_size=4)
NUMBERS = st.sampled_from([0, 1, 2, 420, 644, 8191]) | st.integers(-(2**65), 2**65)
WRONG = (
    st.none()
    | st.booleans()
    | st.floats()
    | TEXTS
    | st.lists(TEXTS, max_size=1)
    | st.dictionaries(TEXTS, TEXTS, max_size=1)
)


def values(kind: Kind, language: int) -> st.SearchStrategy[Any]:
    """Values that a kind may have, now and then one that it may not."""
    match kind:
        case Scalar.TEXT:
            usual: st.SearchStrategy[Any] = TEXTS
        case Scalar.NUMBER:
            usual = NUMBERS
        case Scalar.FLAG:
            usual = st.booleans()
        case ListOf():
            usual = st.lists(values(kind.item, language), max_size=2)
        case Table():
            usual = st.deferred(lambda: objects(kind, language))
        case TextMap() | Anything():
            usual = st.dictionaries(TEXTS, TEXTS, max_size=2)
    return st.integers(0, 40).flatmap(lambda number: usual if number else WRONG)


def objects(table: Table, language: int) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with a few of the keys of a table."""
    fields = {item.yaml: item.kind for item in table.known(language)}
    names = st.lists(st.sampled_from(sorted(fields)), unique=True, max_size=4)
    return names.flatmap(
        lambda chosen: st.fixed_dictionaries({name: values(fields[name], language) for name in chosen})
    )


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    """Configs of any variant and version."""
    name, version = draw(st.sampled_from(VERSIONS))
    chosen = VARIANTS[name].versions[version]
    body = draw(objects(chosen.table, chosen.language))
    if chosen.operator is not None:
        body["metadata"] = {"name": "a", "labels": {"machineconfiguration.openshift.io/role": "worker"}}
    return {**body, "variant": name, "version": version}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(configs(), st.booleans())
def test_any_config_is_translated_or_refused_with_a_sentence(config: dict[str, Any], raw: bool) -> None:
    text = yaml.safe_dump(config, allow_unicode=True, sort_keys=False).encode()
    found = translate(text, raw=raw, validate=validate, inspect=inspect)
    shown = rendering.pretty(found.report, name="a.bu", source=text)
    assert (found.config is None) == bool(found.problem), shown
    assert found.config is not None or found.report.is_fatal or "yaml" in found.problem, shown
    assert all(finding.line >= 1 and finding.column >= 1 for finding in found.report)
    if found.config is not None:
        ignition = found.config["spec"]["config"] if found.is_wrapped else found.config
        assert not validate(json.loads(json.dumps(ignition))).is_fatal


@settings(max_examples=40, deadline=None)
@given(configs())
def test_the_same_text_gives_the_same_result(config: dict[str, Any]) -> None:
    text = yaml.safe_dump(config, allow_unicode=True).encode()
    first, second = translate(text), translate(text)
    assert json.dumps(first.config) == json.dumps(second.config)
    assert (first.report, first.problem) == (second.report, second.problem)


@settings(max_examples=120, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes_are_a_document_or_refused_with_a_sentence(data: bytes) -> None:
    try:
        parse(data)
    except DocumentError as error:
        assert str(error).startswith("yaml: ")
