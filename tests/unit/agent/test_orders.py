from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from nestos.agent.orders import Approval, Hold, OrderBook, Orders
from tests.unit.agent.fakes import START


def test_orders_are_read_back_as_they_were_given(tmp_path: Path) -> None:
    book = OrderBook(tmp_path / "orders")
    assert book.read() == Orders()
    hold = Hold(who="ann", since=START, reason="sales", until=START + timedelta(days=1))
    approval = Approval(who="ann", since=START, version="2", skips_windows=True)
    book.place_hold(hold)
    book.approve(approval)
    book.ask_to_check(START)
    assert book.read() == Orders(hold=hold, approval=approval, check=START)
    assert book.end_hold()
    assert not book.end_hold()
    assert book.withdraw_approval()
    assert not book.withdraw_approval()
    assert book.read() == Orders(check=START)


def test_a_damaged_approval_approves_nothing(tmp_path: Path) -> None:
    for text in ("", "[]", '{"since": "x"}', '{"since": "2026-11-23T00:00:00", "skips_windows": true}'):
        (tmp_path / "approval.json").write_text(text)
        assert OrderBook(tmp_path).read().approval is None


def test_an_approval_is_for_its_version() -> None:
    orders = Orders(approval=Approval(who="ann", since=START, version="2"))
    assert orders.approves("2")
    assert not orders.approves("3")
    assert not orders.skips_windows("2")
    assert Orders(approval=Approval(who="ann", since=START, skips_windows=True)).skips_windows("9")
