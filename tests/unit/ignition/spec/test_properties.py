"""What holds for all configs that are accepted, whatever they say."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nestos.ignition.spec.merge import merged
from nestos.ignition.spec.model import Config
from nestos.ignition.spec.parse import parse, validate
from nestos.ignition.spec.versions import NEWEST, VERSIONS

NAMES = [version.name for version in VERSIONS]
WORDS = st.sampled_from(["a", "b", "c", "ä b"])


def optional(**fields: st.SearchStrategy[Any]) -> Any:
    """Some of ``fields``."""
    return st.fixed_dictionaries({}, optional=fields)


def listed(key: str, entries: Any) -> Any:
    """Entries of different ``key``."""
    return st.lists(entries, max_size=3, unique_by=lambda entry: entry[key])


def entry(key: st.SearchStrategy[str], name: str = "path", **fields: st.SearchStrategy[Any]) -> Any:
    return st.fixed_dictionaries({name: key}, optional=fields)


OWNER = optional(id=st.integers(0, 9)) | optional(name=WORDS)
RESOURCE = optional(
    source=st.sampled_from(["data:,x", "https://h/x", "data:;base64,eA==", "s3://b/k"]),
    compression=st.sampled_from(["", "gzip"]),
)
FILE = entry(
    WORDS.map(lambda word: f"/files/{word}"),
    mode=st.integers(0, 0o777),
    user=OWNER,
    contents=RESOURCE,
    append=st.lists(RESOURCE, max_size=2),
)
DIRECTORY = entry(WORDS.map(lambda word: f"/directories/{word}"), mode=st.integers(0, 0o777), group=OWNER)
LINK = st.fixed_dictionaries({"path": WORDS.map(lambda word: f"/links/{word}"), "target": WORDS})
UNIT = entry(
    WORDS.map(lambda word: f"{word}.service"),
    "name",
    enabled=st.booleans(),
    mask=st.booleans(),
    contents=st.sampled_from(["[Unit]\n", "[Install]\nWantedBy=a.target\n"]),
)
USER = entry(WORDS, "name", uid=st.integers(0, 9), groups=st.lists(WORDS, unique=True), passwordHash=WORDS)
RAID = st.fixed_dictionaries(
    {"name": WORDS, "level": st.sampled_from(["raid1", "5"]), "devices": st.just(["/dev/a", "/dev/b"])},
    optional={"options": st.lists(WORDS, max_size=2)},
)
SECTIONS = optional(
    storage=optional(
        files=listed("path", FILE), directories=listed("path", DIRECTORY), links=listed("path", LINK),
        raid=listed("name", RAID),
    ),
    systemd=optional(units=listed("name", UNIT)),
    passwd=optional(users=listed("name", USER)),
)  # fmt: skip


def accepted(version: str, sections: dict[str, Any]) -> Config:
    parsed = parse(json.dumps({"ignition": {"version": version}, **sections}).encode())
    assert parsed.config is not None, parsed.report
    return parsed.config


CONFIGS = st.builds(accepted, st.sampled_from(NAMES), SECTIONS)
FEW = settings(max_examples=60, deadline=None, derandomize=True)


@FEW
@given(st.sampled_from(NAMES), SECTIONS)
def test_nothing_is_lost_on_the_way_up(version: str, sections: dict[str, Any]) -> None:
    assert accepted(version, sections) == {"ignition": {"version": NEWEST.name}, **sections}


@FEW
@given(CONFIGS)
def test_a_translated_config_is_accepted_and_stays_as_it_is(config: Config) -> None:
    assert parse(json.dumps(config).encode()).config == config


@FEW
@given(CONFIGS)
def test_merging_with_nothing_changes_nothing(config: Config) -> None:
    nothing: Config = {"ignition": {"version": NEWEST.name}}

    assert merged(nothing, config) == merged(config, nothing) == config


@FEW
@given(CONFIGS, CONFIGS, CONFIGS)
def test_it_does_not_matter_which_two_are_merged_first(one: Config, two: Config, three: Config) -> None:
    assert merged(merged(one, two), three) == merged(one, merged(two, three))


@FEW
@given(CONFIGS, CONFIGS)
def test_a_merged_config_has_all_that_the_child_says_and_is_valid(parent: Config, child: Config) -> None:
    result = merged(parent, child)

    assert not validate(result).is_fatal
    assert merged(result, _without_piles(child)) == result


def _without_piles(config: Config) -> Config:
    """``config`` without the lists that only grow when they are merged."""
    copy: Any = json.loads(json.dumps(config))
    for file in copy.get("storage", {}).get("files", []):
        file.pop("append", None)
    for array in copy.get("storage", {}).get("raid", []):
        array.pop("options", None)
    return copy  # type: ignore[no-any-return]
