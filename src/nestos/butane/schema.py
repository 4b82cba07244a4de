"""The shape of tables: what keys an object has, what each holds, and what it is called in Ignition.

Tables are data. A key that Ignition does not know is ``sugar``: it is checked and kept for its table's hook, which
turns it into Ignition's terms. Keys that came later carry the language version that brought them.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from nestos.butane.site import Check, Site


class Scalar(enum.Enum):
    """A single value; the value is the name of its type in messages."""

    TEXT = "string"
    NUMBER = "int"
    FLAG = "bool"


@dataclass(frozen=True, kw_only=True)
class ListOf:
    """A list whose entries are all of one kind. ``typed`` names their type in messages, up to ``typed_until``."""

    item: Scalar | Table
    typed: str = ""
    typed_until: int = 99
    named: str = ""


@dataclass(frozen=True)
class TextMap:
    """Any keys, each with a text."""


@dataclass(frozen=True)
class Anything:
    """A mapping of any shape, for a program whose settings are passed through."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One key of an object."""

    yaml: str
    json: str
    kind: Kind
    since: int
    sugar: bool
    required_until: int
    """Up to this version of the language the result has it always, empty if nothing was written."""
    plain: bool
    """Zero or empty is the same as not written."""
    note: str
    """What it does, in a sentence or two."""
    refused: str = ""
    """Why the key must not be written, for one that would mean something else than its author thinks."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """An object. ``rule`` judges what was written; ``hook`` runs when all its keys are translated."""

    name: str
    fields: tuple[Field, ...]
    rule: Callable[[Check], None] | None = None
    hook: Callable[[Site], None] | None = None
    owner: str = "base"
    """Which part of the language it belongs to; with ``name`` its type in messages."""
    renamed: Mapping[int, str] = field(default_factory=dict)
    """Other names of the type in earlier versions of the language."""
    kept_until: int = 0
    """Up to this version of the language it is in the result even if empty."""

    def known(self, language: int) -> Iterator[Field]:
        """The keys that a version of the language has."""
        return (item for item in self.fields if item.since <= language)

    def usable(self, language: int) -> list[Field]:
        """The keys that may be written in a version of the language."""
        return [item for item in self.known(language) if not item.refused]


Kind = Scalar | ListOf | Table | TextMap | Anything

ALWAYS = 99
"""For ``required_until``: in every version."""


def key(
    name: str,
    kind: Kind,
    note: str = "",
    *,
    since: int = 1,
    json: str = "",
    sugar: bool = False,
    required_until: int = 0,
    plain: bool = False,
    refused: str = "",
) -> Field:
    """A field; its JSON name is the camel case of ``name`` unless given."""
    return Field(
        yaml=name,
        json=json or camel(name),
        kind=kind,
        since=since,
        sugar=sugar,
        required_until=required_until,
        plain=plain,
        note=note,
        refused=refused,
    )


def camel(name: str) -> str:
    """The JSON name of a YAML key: ``size_mib`` is ``sizeMiB``, ``wipe_table`` is ``wipeTable``."""
    name = re.sub(r"_mib$", "MiB", name)
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)
