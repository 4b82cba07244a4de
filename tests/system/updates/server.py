"""The real server process on loopback, over a release folder that the real commands made."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nestos.cli import main
from nestos.wire import graph, report
from nestos.wire.report import Outcome, Report

PATIENCE_SECONDS = 600
"""A machine may be busy with other things; who passes does so at once."""
SOURCES = Path(__file__).parents[3] / "src"


def release(folder: Path, *words: str) -> None:
    """``nestos release WORDS`` on the folder; it must succeed."""
    action, *rest = words
    assert main.program(["release", action, f"--folder={folder}", *rest]) == 0


def published(folder: Path, *versions: str, stream: str = "stable") -> None:
    """Releases without a rollout."""
    for version in versions:
        release(folder, "create", stream, version, "--arch=x86_64", f"--commit={commit(version)}")
        release(folder, "publish", stream, version)


def commit(version: str) -> str:
    """A checksum for a version."""
    return version.encode().hex().rjust(64, "0")


def token(folder: Path, name: str, role: str) -> str:
    """A new token of the server."""
    command = [sys.executable, "-m", "nestos", "updates", "token", "add", name, f"--role={role}", f"--folder={folder}"]
    made = subprocess.run(command, env=_environment(), check=True, capture_output=True, text=True)
    return made.stdout.strip()


@dataclass
class Server:
    """A server that runs, until it is killed."""

    folder: Path
    process: subprocess.Popen[bytes]
    port: int
    status_port: int
    admin_port: int

    @property
    def admin(self) -> str:
        """Address of the page."""
        return f"http://127.0.0.1:{self.admin_port}"

    def ways(self, *, group: str = "default", wariness: str = "0.5") -> set[tuple[str, str]]:
        """What a node is offered: pairs of versions."""
        query = f"stream=stable&basearch=x86_64&group={group}&rollout_wariness={wariness}"
        status, body = ask(f"http://127.0.0.1:{self.port}/v1/graph?{query}")
        assert status == 200, body
        seen = graph.parse(body, source="answer")
        return {(seen.nodes[source].version, seen.nodes[target].version) for source, target in seen.edges}

    def report(self, node: int, *, to: str, outcome: Outcome = Outcome.UPDATED, group: str = "default") -> int:
        """A node reports; the status it gets."""
        said = Report(
            node=f"{node:032x}",
            group=group,
            basearch="x86_64",
            stream="stable",
            before="1",
            after=to,
            outcome=outcome,
            reason="" if outcome is Outcome.UPDATED else "<b>docker.service</b> did not start",
            time=datetime.now(UTC),
        )
        secret = f"{node:064x}"
        body = report.render(replace(report.sealed(said, secret=secret), secret=secret))
        return ask(f"http://127.0.0.1:{self.port}/v1/report", body=body)[0]

    def api(self, path: str, *, token: str, body: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """An answer of the admin API."""
        data = None if body is None else json.dumps(body).encode()
        status, said = ask(f"{self.admin}{path}", body=data, headers={"Authorization": f"Bearer {token}"})
        return status, json.loads(said)


def ask(url: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """Status and body of an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=dict(headers or {}))) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def eventually(what: str, holds: Any) -> None:
    """Waits until ``holds()`` is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"this did not come about: {what}"
        time.sleep(0.2)


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """``nestos updates serve --manage`` on free ports; killed at the end, if it still runs."""
    port, status_port, admin_port = _free_ports(3)
    command = [
        *(sys.executable, "-m", "nestos", "updates", "serve", "--manage", f"--folder={folder}", "--refresh-seconds=1"),
        *("--address=127.0.0.1", f"--port={port}", f"--status-port={status_port}", f"--admin-port={admin_port}"),
    ]
    process = subprocess.Popen(command, env=_environment(), stdout=subprocess.DEVNULL)
    server = Server(folder=folder, process=process, port=port, status_port=status_port, admin_port=admin_port)
    try:
        eventually("the server answers", lambda: process.poll() is not None or _is_up(server))
        assert process.poll() is None, "the server has ended"
        yield server
    finally:
        process.kill()
        process.wait()


def copied(folder: Path, target: Path) -> Path:
    """A backup as an operator makes it: the files as they are, while the server runs."""
    shutil.copytree(folder, target, symlinks=True)
    return target


def _is_up(server: Server) -> bool:
    try:
        return all(
            ask(f"http://127.0.0.1:{port}{path}")[0] == 200
            for port, path in ((server.status_port, "/ready"), (server.admin_port, "/openapi.json"))
        )
    except OSError:
        return False


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(SOURCES), "PYTHONHASHSEED": "0"}


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports
