from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack, cast

import pytest

from nestos.host.process import Completed, RunOptions
from nestos.host.toolbox import Toolbox
from nestos.lab.tang import TangServer
from tests.unit.host.scripted import Scripted


class Tools(Scripted):
    """Programs that remember what they were given to read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[object] = []

    def __call__(self, command: Sequence[str | os.PathLike[str]], /, **options: Unpack[RunOptions]) -> Completed:
        self.read.append(options.get("stdin"))
        return super().__call__(command, **options)

    def with_binds(self, *_: Path) -> Tools:
        return self


@pytest.fixture
def tools() -> Tools:
    tools = Tools()
    tools.on("/usr/libexec/tangd", stdout="HTTP/1.1 200 OK\r\n\r\n{}")
    return tools


@pytest.fixture
def tang(tools: Tools, tmp_path: Path) -> TangServer:
    folder = tmp_path / "keys"
    folder.mkdir()
    for name, use in (("a", "deriveKey"), ("b", "verify")):
        (folder / f"{name}.jwk").write_text(json.dumps({"key_ops": [use]}))
    return TangServer(folder, tools=cast(Toolbox, tools))


def test_a_request_goes_to_tangd_as_it_came_and_its_answer_back(tang: TangServer, tools: Tools) -> None:
    request = b"POST /rec/x HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"
    with tang, socket.create_connection(("127.0.0.1", tang.port)) as guest:
        guest.sendall(request)
        answer = guest.makefile("rb").read()
    assert answer == b"HTTP/1.1 200 OK\r\n\r\n{}"
    assert tools.lines == [["/usr/libexec/tangd", str(tang.folder)]]
    assert tools.read == [request]


def test_the_thumbprint_is_that_of_the_signing_key(tang: TangServer, tools: Tools) -> None:
    tools.on("jose", stdout="abc\n")
    assert tang.thumbprint == "abc"
    assert f"--input={tang.folder / 'b.jwk'}" in tools.calls[-1].line
    tang._server.server_close()
