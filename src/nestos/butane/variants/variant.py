"""What a variant is: a name and its versions, each a choice of language, additions and steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nestos.base.report import Finding
from nestos.butane.language import BASE, IGNITION_OF
from nestos.butane.machine_config import Operator
from nestos.butane.schema import Field, Table
from nestos.butane.site import Check, Level, Object, Run

Step = Callable[[Run, Object, Object], Object]
"""Takes the run, what was written and the config so far; returns the config with what it adds."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a variant."""

    language: int
    """Version of the base language, see ``nestos.butane.language``."""
    types: Mapping[str, str]
    """What each part of the language is called where a message names a type."""
    additions: tuple[Field, ...] = ()
    """Top-level keys that the variant adds to the base language."""
    rule: Callable[[Check], None] | None = None
    """Judges the whole config before it is translated."""
    steps: tuple[Step, ...] = ()
    """What is added to the translated config, in this order, before it is judged."""
    judge: Callable[[Object], list[Finding]] | None = None
    """Finds what is odd about the result."""
    last_steps: tuple[Step, ...] = ()
    """What is added after it was judged."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Paths of the result that the system does not support, each with the sentence that says so."""
    zero_is_fine: frozenset[str] = frozenset()
    """Paths of ``refused`` where a zero is not refused."""
    operator: Operator | None = None
    """Wraps the result in a MachineConfig for this operator."""
    includes: bool = False
    """Whether the local configs to merge may be Butane configs themselves."""
    compresses: bool = True
    """Whether embedded contents may be compressed."""

    @property
    def ignition(self) -> str:
        """Version of the Ignition config that it makes."""
        return IGNITION_OF[self.language]

    @property
    def table(self) -> Table:
        """The table of a whole config."""
        return Table(
            name="Config",
            owner="config",
            fields=(*BASE, *self.additions),
            rule=self.rule,
        )


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A family of operating systems that configs are written for."""

    name: str
    versions: Mapping[str, Version]
    note: str = ""

    def level(self, version: str) -> Level:
        """What the version means for the base language."""
        known_from: dict[int, str] = {}
        for name, item in self.versions.items():
            for language in range(1, item.language + 1):
                known_from.setdefault(language, name)
        chosen = self.versions[version]
        return Level(
            language=chosen.language,
            ignition=chosen.ignition,
            known_from=known_from,
            compresses=chosen.compresses,
            types=chosen.types,
        )


def types(language: int, **own: str) -> dict[str, str]:
    """Names of types for a version of the language; ``config`` is the part that the variant itself is."""
    base = f"v0_{language}" + ("_exp" if language == max(IGNITION_OF) else "")
    return {"base": base, **own}
