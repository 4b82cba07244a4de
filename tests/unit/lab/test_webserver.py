from __future__ import annotations

import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from nestos.lab.webserver import Fault, FaultKind, Site, _Handler, _Server


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects" / "a.filez").write_bytes(b"0123456789" * 100)
    (tmp_path / "secret").symlink_to("/etc/hostname")
    return Site(tmp_path, documents={"/config.ign": b"{}"})


def ask(site: Site, request: str, *, read_at_most: int = 1 << 20) -> tuple[int, dict[str, str], bytes]:
    """The status, the headers and the body that a client gets over a connection that ends with the answer."""
    ours, theirs = socket.socketpair()
    server = cast(_Server, SimpleNamespace(site=site))

    def serve() -> None:
        with theirs:
            _Handler(theirs, ("guest", 1), server)

    thread = threading.Thread(target=serve)
    thread.start()
    with ours, ours.makefile("rb") as file:
        ours.sendall(f"{request} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n".encode())
        status = int(file.readline().split()[1])
        headers: dict[str, str] = {}
        while (line := file.readline().strip()) != b"":
            name, _, value = line.decode().partition(": ")
            headers[name] = value
        body = file.read(read_at_most)
        site.closing.set()
        thread.join()
    return status, headers, body


def test_a_file_is_served_whole_and_counted(site: Site) -> None:
    status, headers, body = ask(site, "GET /objects/a.filez")
    assert (status, headers["Content-Length"], len(body)) == (200, "1000", 1000)
    traffic = site.traffic()
    assert traffic.requests == {"/objects/a.filez": 1}
    assert traffic.body_bytes == {"/objects/a.filez": 1000}
    assert traffic.total_bytes == 1000


def test_documents_come_before_files(site: Site) -> None:
    assert ask(site, "GET /config.ign?x=1")[2] == b"{}"


def test_a_head_has_no_body(site: Site) -> None:
    status, headers, body = ask(site, "HEAD /objects/a.filez")
    assert (status, headers["Content-Length"], body) == (200, "1000", b"")
    assert site.traffic().total_bytes == 0


@pytest.mark.parametrize("path", ["/none", "/objects", "/secret", "/../../../../etc/hostname", "/%00"])
def test_nothing_else_is_served(path: str, site: Site) -> None:
    assert ask(site, f"GET {path}")[0] == 404


def test_a_truncated_object_looks_whole(site: Site) -> None:
    site.inject(Fault(kind=FaultKind.TRUNCATE, after_bytes=10))
    status, headers, body = ask(site, "GET /objects/a.filez")
    assert (status, headers["Content-Length"], body) == (200, "10", b"0123456789")


def test_a_connection_that_breaks_off_promised_more(site: Site) -> None:
    site.inject(Fault(kind=FaultKind.BREAK_OFF, after_bytes=10))
    _, headers, body = ask(site, "GET /objects/a.filez")
    assert (headers["Content-Length"], body) == ("1000", b"0123456789")


def test_a_status_comes_instead_of_the_file(site: Site) -> None:
    site.inject(Fault(kind=FaultKind.STATUS, status=503))
    assert ask(site, "GET /objects/a.filez")[0] == 503


def test_a_hanging_answer_ends_only_with_the_server(site: Site) -> None:
    site.inject(Fault(kind=FaultKind.HANG, after_bytes=10))
    assert ask(site, "GET /objects/a.filez", read_at_most=10)[2] == b"0123456789"


def test_a_slow_answer_is_whole(site: Site) -> None:
    site.inject(Fault(kind=FaultKind.SLOW, bytes_per_second=10_000))
    assert len(ask(site, "GET /objects/a.filez")[2]) == 1000


def test_a_fault_hits_only_its_paths_and_only_so_often(site: Site) -> None:
    site.inject(Fault(kind=FaultKind.STATUS, path="/objects/*", times=1))
    assert site.fault_for("/config.ign") is None
    assert site.fault_for("/objects/a.filez") is not None
    assert site.fault_for("/objects/a.filez") is None


def test_the_first_fault_that_is_left_happens(site: Site) -> None:
    site.inject(Fault(kind=FaultKind.STATUS, times=1))
    site.inject(Fault(kind=FaultKind.HANG))
    kinds = [fault.kind for fault in (site.fault_for("/a"), site.fault_for("/a")) if fault is not None]
    assert kinds == [FaultKind.STATUS, FaultKind.HANG]
    site.heal()
    assert site.fault_for("/a") is None


def test_counting_begins_anew(site: Site) -> None:
    site.sent("/a", length=5)
    site.forget_traffic()
    assert site.traffic().total_bytes == 0
