"""Fixtures of the engine's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.ignition.engine.bench import Bench, bench


@pytest.fixture
def machine(tmp_path: Path) -> Bench:
    return bench(tmp_path)
