from __future__ import annotations

import argparse
import io
import socket
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nestos.base.errors import StateError
from nestos.cli import serve
from nestos.compose.workspace import Workspace
from tests.unit.compose.trees import plant


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nestos")
    serve.register(parser.add_subparsers())
    return parser.parse_args(["serve", *words])


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("NESTOS_CACHE", str(tmp_path / "cache"))
    plant(
        tmp_path, {"cache/repo/config": "mode=archive", "cache/files/busybox.tar": "image", "cache/keys/secret": "no"}
    )
    return Workspace.default()


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The request handlers of servers that were asked for; no socket is opened."""
    found: list[Any] = []

    def init(self: ThreadingHTTPServer, address: tuple[str, int], handler: Any) -> None:
        found.append((address, handler))

    monkeypatch.setattr(ThreadingHTTPServer, "__init__", init)
    return found


class Wire:
    """One connection: a request in, the answer out."""

    def __init__(self, request: str) -> None:
        self._request = io.BytesIO(request.encode())
        self.answer = b""

    def makefile(self, *arguments: object) -> io.BytesIO:
        return self._request

    def sendall(self, data: bytes) -> None:
        self.answer += data


def get(handler: Any, path: str) -> tuple[int, bytes]:
    wire = Wire(f"GET {path} HTTP/1.0\r\n\r\n")
    handler(wire, ("127.0.0.1", 1), None)
    head, _, body = wire.answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize(
    ("path", "answer"),
    [("/config", (200, b"mode=archive")), ("/files/busybox.tar", (200, b"image"))],
    ids=["the repository", "the files"],
)
def test_the_repository_and_the_files_of_the_cache_are_served(
    workspace: Workspace, handlers: list[Any], path: str, answer: tuple[int, bytes]
) -> None:
    serve.server(workspace)
    assert get(handlers[0][1], path) == answer


@pytest.mark.parametrize(
    "path", ["/keys/secret", "/../keys/secret", "/files/../keys/secret", "/files/%2e%2e/keys/secret", "/none"]
)
def test_nothing_else_is(workspace: Workspace, handlers: list[Any], path: str) -> None:
    serve.server(workspace)
    assert get(handlers[0][1], path)[0] == 404


def test_by_default_only_this_machine_is_answered(workspace: Workspace, handlers: list[Any]) -> None:
    serve.server(workspace)
    assert handlers[0][0] == ("127.0.0.1", serve.DEFAULT_PORT)
    assert parse().address == "127.0.0.1"


def test_without_a_repository_it_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NESTOS_CACHE", str(tmp_path))
    with pytest.raises(StateError, match="no repository yet") as caught:
        serve.handle(parse())
    assert "nestos compose" in caught.value.hint


def test_an_address_that_cannot_be_had_is_named(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(self: ThreadingHTTPServer, *arguments: object) -> None:
        raise OSError(98, "Address already in use")

    monkeypatch.setattr(ThreadingHTTPServer, "__init__", taken)
    with pytest.raises(StateError, match=r"cannot listen on 127\.0\.0\.1:80: Address already in use"):
        serve.handle(parse("--port=80"))


def test_a_name_that_no_one_knows_is_named_too(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(self: ThreadingHTTPServer, *arguments: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(ThreadingHTTPServer, "__init__", unknown)
    with pytest.raises(StateError, match="Name or service not known"):
        serve.handle(parse("--address=nowhere"))
