"""The versions that can be read, in order. Only this module and ``parse`` know that there is more than one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from nestos.ignition.spec import v3_0, v3_1, v3_2, v3_3, v3_4, v3_5, v3_6
from nestos.ignition.spec.schema import Object, Traits, Value


@dataclass(frozen=True, kw_only=True)
class Version:
    """One published version: its fields, what its rules allow, and the way up to it from the one before."""

    name: str
    config: Object
    traits: Traits
    upgrade: Callable[[Value], Value]


def _version(module: ModuleType) -> Version:
    return Version(name=module.VERSION, config=module.CONFIG, traits=module.TRAITS, upgrade=module.upgrade)


VERSIONS = tuple(_version(module) for module in (v3_0, v3_1, v3_2, v3_3, v3_4, v3_5, v3_6))
NEWEST = VERSIONS[-1]


def find(name: str) -> Version | None:
    """The version of exactly this name, or none."""
    return next((version for version in VERSIONS if version.name == name), None)


def translated(config: Value, *, origin: Version) -> Value:
    """``config``, valid in ``origin``, as a config of the newest version. It is changed in place."""
    for version in VERSIONS[VERSIONS.index(origin) + 1 :]:
        config = version.upgrade(config)
    config.setdefault("ignition", {})["version"] = NEWEST.name
    return config
