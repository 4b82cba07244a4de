from __future__ import annotations

import os
from pathlib import Path

import pytest

from nestos.base.errors import BusyError
from nestos.deploy.transaction import exclusive, holder
from tests.unit.deploy.fakes import FakeClock


def test_a_second_transaction_is_refused_with_the_holders_name(tmp_path: Path) -> None:
    lock = tmp_path / "run" / "transaction.lock"
    with (
        exclusive(lock, command="upgrade", clock=FakeClock()),
        pytest.raises(BusyError, match=rf"upgrade \(pid {os.getpid()}, since 2026-11-23"),
        exclusive(lock, command="rollback", clock=FakeClock()),
    ):
        pass


def test_the_lock_is_free_after_the_block_even_when_it_failed(tmp_path: Path) -> None:
    lock = tmp_path / "transaction.lock"
    with pytest.raises(ZeroDivisionError), exclusive(lock, command="upgrade"):
        _ = 1 // 0
    assert holder(lock) is None
    with exclusive(lock, command="rollback"):
        assert holder(lock) is not None


def test_waiting_ends_at_its_deadline(tmp_path: Path) -> None:
    lock, clock = tmp_path / "transaction.lock", FakeClock()
    with (
        exclusive(lock, command="upgrade"),
        pytest.raises(BusyError),
        exclusive(lock, command="boot mark-good", wait_seconds=5, clock=clock),
    ):
        pass
    assert 5 <= clock.seconds < 6


def test_nobody_holds_a_lock_that_was_never_taken(tmp_path: Path) -> None:
    assert holder(tmp_path / "transaction.lock") is None


def test_the_holder_is_named_while_it_holds(tmp_path: Path) -> None:
    lock = tmp_path / "transaction.lock"
    with exclusive(lock, command="deploy 2", clock=FakeClock()):
        held = holder(lock)
    assert held is not None
    assert (held.command, held.pid) == ("deploy 2", os.getpid())
