"""The service manager hears what it is told, as sd_notify(3) words it; without one a service goes on."""

from __future__ import annotations

import socket
from pathlib import Path

from nestos.base.notify import Notifier


def test_the_manager_hears_every_line_in_one_message(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)

        Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}).tell("READY=1", "STATUS=two\nlines")

        assert manager.recv(4096) == b"READY=1\nSTATUS=two lines"


def test_a_long_line_is_cut_so_that_the_message_can_be_sent(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)

        Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}).tell("STATUS=" + "x" * (1 << 20))

        assert len(manager.recv(1 << 16)) == 1000


def test_a_manager_that_does_not_listen_is_no_failure(tmp_path: Path) -> None:
    Notifier({}).tell("READY=1")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).tell("READY=1")


def test_the_watchdog_is_told_in_seconds() -> None:
    assert Notifier({"WATCHDOG_USEC": "30000000"}).watchdog_seconds == 30
    assert Notifier({"WATCHDOG_USEC": "x"}).watchdog_seconds is None
