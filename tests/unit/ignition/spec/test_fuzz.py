"""A short run over damaged configs; ``python3 -m tests.fuzz.ignition`` is the long one."""

from __future__ import annotations

import pytest

from tests.fuzz import ignition as fuzz

INPUTS = 1500


def test_damaged_configs_give_a_report_and_never_an_exception() -> None:
    outcomes = {fuzz.check(data) for data in fuzz.inputs(INPUTS, seed=20260101)}

    assert outcomes == {"accepted", "refused", "hopeless"}


def test_the_same_seed_gives_the_same_inputs() -> None:
    assert list(fuzz.inputs(20, seed=3)) == list(fuzz.inputs(20, seed=3)) != list(fuzz.inputs(20, seed=4))


@pytest.mark.parametrize(
    "data",
    [
        b'{"storage": {"files": [{"\\ud800": 2541}]}, "ignition": {"version": "3.2.0"}}',
        b'{"ignition": {"version": "3.0.0"}, "\xff": 1}',
        b'{"ignition": {"version": "\\ud800"}}',
    ],
)
def test_what_once_broke_it_does_not_any_more(data: bytes) -> None:
    assert fuzz.check(data)


def test_a_broken_promise_is_printed_with_its_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_data: bytes) -> None:
        raise fuzz.BrokenPromiseError("so it is")

    monkeypatch.setattr(fuzz, "check", fail)

    assert fuzz.main(["--inputs=1"]) == 1
    assert "BrokenPromiseError: so it is\n  b'" in capsys.readouterr().out
