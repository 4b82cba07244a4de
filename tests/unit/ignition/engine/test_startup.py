"""What is put off when a stage starts."""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from nestos.ignition.engine.startup import Later, get_annotations, lighten


@dataclass
class Example:
    """A class as the engine has them."""

    name: str
    number: int = 0


class Heir(Example):
    """One without annotations of its own."""


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    yield
    gc.enable()


@pytest.mark.parametrize("owner", [Example, Heir, int, get_annotations])
def test_annotations_are_those_that_inspect_tells(owner: object) -> None:
    assert get_annotations(owner) == inspect.get_annotations(owner)  # type: ignore[arg-type]
    assert get_annotations(Example, eval_str=True) == inspect.get_annotations(Example, eval_str=True)


def test_the_module_is_loaded_when_something_else_is_asked_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    later = Later("inspect")
    monkeypatch.setitem(sys.modules, "inspect", later)

    assert later.isfunction(get_annotations)
    assert sys.modules["inspect"] is not later
    assert vars(later)["isfunction"] is later.isfunction


def test_a_module_that_is_there_is_left_alone() -> None:
    lighten()

    assert sys.modules["inspect"] is inspect
    assert not gc.isenabled()


def test_one_that_is_not_is_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "inspect")

    lighten()

    assert isinstance(sys.modules["inspect"], Later)
    assert sys.modules["inspect"].get_annotations is get_annotations
