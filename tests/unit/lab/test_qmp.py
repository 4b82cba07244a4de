from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from nestos.lab.qmp import Qmp, QmpError

GREETING: dict[str, Any] = {"QMP": {"version": {}, "capabilities": []}}


@contextmanager
def qemu(*answers: list[dict[str, Any]]) -> Iterator[tuple[socket.socket, list[dict[str, Any]]]]:
    """The client's end of a connection to something that answers the n-th command with ``answers[n]``."""
    ours, theirs = socket.socketpair()
    received: list[dict[str, Any]] = []

    def serve() -> None:
        with theirs, theirs.makefile("rwb") as file:
            file.write(json.dumps(GREETING).encode() + b"\r\n")
            file.flush()
            for answer in ([{"return": {}}], *answers):
                line = file.readline()
                if not line:
                    return
                received.append(json.loads(line))
                file.write(b"".join(json.dumps(item).encode() + b"\r\n" for item in answer))
                file.flush()

    thread = threading.Thread(target=serve)
    thread.start()
    ours.settimeout(10)
    with ours:
        yield ours, received
        ours.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_it_negotiates_before_anything_else() -> None:
    with qemu() as (connection, received):
        Qmp(connection)
        assert received == [{"execute": "qmp_capabilities"}]


def test_an_answer_behind_events_is_found_and_the_events_are_kept() -> None:
    with qemu([{"event": "WATCHDOG"}, {"event": "RESET"}, {"return": {"status": "running"}}]) as (connection, _):
        qmp = Qmp(connection)
        assert qmp.status() == "running"
        assert [event["event"] for event in qmp.events] == ["WATCHDOG", "RESET"]


def test_polling_tells_every_event_so_far() -> None:
    with qemu([{"event": "RESET"}, {"return": {"status": "running"}}]) as (connection, _):
        assert Qmp(connection).poll_events() == ["RESET"]


def test_argument_names_get_their_dashes() -> None:
    with qemu([{"return": "text"}]) as (connection, received):
        assert Qmp(connection).human("info usernet") == "text"
        assert received[1] == {"execute": "human-monitor-command", "arguments": {"command-line": "info usernet"}}


def test_a_refusal_carries_qemus_own_words() -> None:
    with qemu([{"error": {"class": "GenericError", "desc": "no such thing"}}]) as (connection, _):
        qmp = Qmp(connection)
        with pytest.raises(QmpError, match="QEMU refused system_reset: no such thing"):
            qmp.reset()


def test_a_connection_that_breaks_off_is_an_error() -> None:
    with qemu() as (connection, _):
        qmp = Qmp(connection)
        with pytest.raises(QmpError, match=r"closed its control socket|broke off|did not take"):
            qmp.status()


def test_quitting_needs_no_answer() -> None:
    with qemu() as (connection, _):
        Qmp(connection).quit()


def test_saving_a_state_that_qemu_cannot_save_is_an_error() -> None:
    with qemu([{"return": "Error: device is writable but does not support snapshots\r\n"}]) as (connection, _):
        qmp = Qmp(connection)
        with pytest.raises(QmpError, match=r"'ready'.*does not support snapshots"):
            qmp.save_state("ready")
