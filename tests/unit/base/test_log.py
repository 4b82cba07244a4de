from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from nestos.base import log
from nestos.base.log import Progress


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def lines(stream: io.StringIO) -> list[str]:
    """What was said, with the times taken out."""
    return [re.sub(r"\d+\.\ds", "_", line) for line in stream.getvalue().splitlines()]


def test_stages_say_their_start_their_end_and_the_time(stream: io.StringIO) -> None:
    with Progress(stream).stage("packages"):
        pass
    assert lines(stream) == ["[    _] packages", "[    _] packages: done in _"]


def test_nested_stages_are_indented(stream: io.StringIO) -> None:
    progress = Progress(stream)
    with progress.stage("outer"):
        progress.say("word")
        with progress.stage("inner"):
            pass
    progress.say("after")
    assert [line.partition("] ")[2] for line in lines(stream)] == [
        "outer",
        "  word",
        "  inner",
        "  inner: done in _",
        "outer: done in _",
        "after",
    ]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_stage_that_ends_early_failed_and_the_error_goes_on(stream: io.StringIO, error: type[BaseException]) -> None:
    with pytest.raises(error), Progress(stream).stage("packages"):
        raise error
    assert lines(stream)[-1].endswith("packages: failed in _")


def test_progress_goes_to_the_error_stream(capsys: pytest.CaptureFixture[str]) -> None:
    Progress().say("hello")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "hello" in printed.err


@contextmanager
def bare_root() -> Iterator[logging.Logger]:
    """The root logger as a program finds it; pytest's own handlers are put back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        yield root
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


@pytest.mark.parametrize(("verbose", "level"), [(0, logging.WARNING), (1, logging.INFO), (2, logging.DEBUG)])
def test_each_v_shows_more(stream: io.StringIO, verbose: int, level: int) -> None:
    with bare_root() as root:
        log.setup(verbose=verbose, stream=stream)
        logging.getLogger("nestos.x").warning("told")
        assert root.level == level
    assert stream.getvalue() == "WARNING nestos.x: told\n"
