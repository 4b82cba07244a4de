"""The shape of tables: what keys an object has, what each holds, and what it is called in Ignition.

Tables are data. A key that Ignition does not know is ``sugar``: it is checked and kept for its table's hook, which
turns it into Ignition's terms. Keys that came later carry the language version that brought them.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass

from nestos.butane.site import Site


class Scalar(enum.Enum):
    """A single value."""

    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"


@dataclass(frozen=True)
class ListOf:
    """A list whose entries are all of one kind."""

    item: Kind


@dataclass(frozen=True)
class Refused:
    """A key of the language that this translator does not support; the sentence says what to do instead."""

    sentence: str


@dataclass(frozen=True, kw_only=True)
class Field:
    """One key of an object."""

    yaml: str
    json: str
    kind: Kind
    since: int
    sugar: bool


@dataclass(frozen=True, kw_only=True)
class Table:
    """An object. ``hook`` runs when all its keys are translated."""

    fields: tuple[Field, ...]
    hook: Callable[[Site], None] | None = None


Kind = Scalar | ListOf | Table | Refused


def key(name: str, kind: Kind, *, since: int = 1, json: str = "", sugar: bool = False) -> Field:
    """A field; its JSON name is the camel case of ``name`` unless given, and ``name`` itself for sugar."""
    return Field(yaml=name, json=json or (name if sugar else camel(name)), kind=kind, since=since, sugar=sugar)


def camel(name: str) -> str:
    """The JSON name of a YAML key: ``size_mib`` is ``sizeMiB``, ``wipe_table`` is ``wipeTable``."""
    name = re.sub(r"_mib$", "MiB", name)
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)
