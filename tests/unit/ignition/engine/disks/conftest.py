"""Fixtures of the tests of block devices."""

from __future__ import annotations

import pytest

from tests.unit.ignition.engine.bench import Bench
from tests.unit.ignition.engine.disks.blocks import Blocks


@pytest.fixture
def blocks(machine: Bench) -> Blocks:
    return Blocks(bench=machine)
