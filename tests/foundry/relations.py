"""Versions and relations of Debian packages in RPM's words. Pure.

rpm compares the parts between separators as dpkg does, tilde included; a hyphen inside the upstream version, which
rpm does not allow, becomes a dot, the same on both sides of every comparison.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tests.foundry.deb import Relation
from tests.foundry.rpmfile import Dependency, Sense

_SENSES = {
    "": Sense.ANY,
    "<<": Sense.LESS,
    "<=": Sense.LESS | Sense.EQUAL,
    "=": Sense.EQUAL,
    ">=": Sense.GREATER | Sense.EQUAL,
    ">>": Sense.GREATER,
}
_FORBIDDEN = re.compile(r"[^A-Za-z0-9.+_~^]")


@dataclass(frozen=True, kw_only=True)
class Evr:
    """Epoch, version and release; the release of a native version is empty."""

    epoch: int | None
    version: str
    release: str

    def __str__(self) -> str:
        """As in a dependency: ``[epoch:]version[-release]``."""
        epoch = "" if self.epoch is None else f"{self.epoch}:"
        return f"{epoch}{self.version}-{self.release}" if self.release else f"{epoch}{self.version}"


def evr(version: str) -> Evr:
    """The parts of a Debian version, which is ``[epoch:]upstream[-revision]``."""
    epoch, _, rest = version.rpartition(":")
    upstream, _, revision = rest.rpartition("-")
    if not upstream:
        upstream, revision = rest, ""
    return Evr(
        epoch=int(epoch) if epoch.strip("0") else None,
        version=_FORBIDDEN.sub(".", upstream),
        release=_FORBIDDEN.sub(".", revision),
    )


def package_evr(version: str) -> Evr:
    """As ``evr``, with the release 0 for a native version: an RPM package must have one."""
    parts = evr(version)
    return Evr(epoch=parts.epoch, version=parts.version, release=parts.release or "0")


def dependency(relation: Relation) -> Dependency:
    """One package, with its comparison."""
    version = str(evr(relation.version)) if relation.version else ""
    return Dependency(name=relation.name, sense=_SENSES[relation.operator], version=version)


def group(alternatives: Sequence[Relation]) -> Dependency:
    """A rich dependency for alternatives; one alone is a plain one."""
    if len(alternatives) == 1:
        return dependency(alternatives[0])
    return Dependency(name=f"({' or '.join(_words(one) for one in alternatives)})")


def _words(relation: Relation) -> str:
    operator = {"<<": "<", ">>": ">"}.get(relation.operator, relation.operator)
    return f"{relation.name} {operator} {evr(relation.version)}" if operator else relation.name
