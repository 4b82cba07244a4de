"""A pytest plugin that writes what ran, for ``nestos parity --check``: ``python -m pytest -p tests.outcomes``.

It writes to the file named by ``NESTOS_TEST_RESULTS`` and does nothing without it. The parameters of a test are left
out of its name; a test has passed when every set of parameters has.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nestos.cli import parity

_WORST_LAST = ("passed", "skipped", "failed")


class Outcomes:
    """The outcomes of one session, by the name of the test without its parameters."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.by_name: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keeps the worst outcome: of set-up, call and tear-down, and of all sets of parameters."""
        if report.when != "call" and report.outcome == "passed":
            return
        name = report.nodeid.partition("[")[0]
        self.by_name[name] = max(self.by_name.get(name, "passed"), report.outcome, key=_WORST_LAST.index)

    def pytest_sessionfinish(self) -> None:
        """Adds the session's outcomes to the file."""
        parity.record(self.path, self.by_name)


def pytest_configure(config: pytest.Config) -> None:
    """Registers the plugin where a file was asked for."""
    path = os.environ.get(parity.RESULTS_VARIABLE)
    if path:
        config.pluginmanager.register(Outcomes(Path(path)))
