"""The promises of this checkout: ``parity.toml`` is sound, its tests exist, and ``docs/parity.md`` is current.

That the named tests also ran and passed is checked after the run, by ``nestos parity --check --results FILE``.
"""

from __future__ import annotations

from pathlib import Path

from nestos.cli import parity

ROOT = Path(__file__).parents[2]
FEATURES_OF_THE_ORIGINAL = 68


def test_every_named_test_exists_and_the_document_is_current() -> None:
    assert parity.check(ROOT) == []


def test_every_feature_of_the_original_has_its_row() -> None:
    table = parity.load((ROOT / "parity.toml").read_text(encoding="utf-8"))
    rows = table.groups["The features of the original"]
    numbers = [int(row.id[1:3]) for row in rows]

    assert numbers == list(range(1, FEATURES_OF_THE_ORIGINAL + 1))
