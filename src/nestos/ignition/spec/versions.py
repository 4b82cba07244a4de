"""The versions that can be read, in order. Only this module and ``parse`` know that there is more than one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from nestos.ignition.spec import v3_0, v3_1, v3_2, v3_3, v3_4, v3_5, v3_6, v3_7_experimental
from nestos.ignition.spec.schema import Object, Traits, Value

_SEMANTIC = re.compile(
    r"([0-9]+)\.([0-9]+)\.([0-9]+)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?)?"
    r"(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?)?"
)


@dataclass(frozen=True, kw_only=True)
class Version:
    """One published version: its fields, what its rules allow, and the way up to it from the one before."""

    name: str
    config: Object
    traits: Traits
    upgrade: Callable[[Value], Value]


def _version(module: ModuleType) -> Version:
    return Version(name=module.VERSION, config=module.CONFIG, traits=module.TRAITS, upgrade=module.upgrade)


_MODULES = (v3_0, v3_1, v3_2, v3_3, v3_4, v3_5, v3_6, v3_7_experimental)
VERSIONS = tuple(_version(module) for module in _MODULES)
NEWEST = VERSIONS[-1]
"""What every config is translated to; not necessarily stable."""

NEWEST_STABLE = VERSIONS[-2]


def canonical(text: str) -> str | None:
    """A semantic version in its plain form, or none if ``text`` is none."""
    match = _SEMANTIC.fullmatch(text)
    if match is None:
        return None
    numbers = [int(part) for part in match.groups()[:3]]
    if any(number >= 2**63 for number in numbers):
        return None
    name = ".".join(map(str, numbers))
    return name + (f"-{match[4]}" if match[4] else "") + (f"+{match[5]}" if match[5] else "")


def find(name: str) -> Version | None:
    """The version of exactly this name, in its plain form, or none."""
    return next((version for version in VERSIONS if version.name == name), None)


def translated(config: Value, *, origin: Version) -> Value:
    """``config``, valid in ``origin``, as a config of the newest version. It is changed in place."""
    for version in VERSIONS[VERSIONS.index(origin) + 1 :]:
        config = version.upgrade(config)
    config.setdefault("ignition", {})["version"] = NEWEST.name
    return config
