"""What the server does with a request and with metadata that change, without a socket."""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest

from nestos.base.errors import InputError, StateError
from nestos.updates import export, service, source
from nestos.updates.counting import Requests
from nestos.updates.http import Request
from nestos.updates.service import GraphHandler, State, StatusHandler
from nestos.wire import graph as wire
from nestos.wire import releases
from nestos.wire.releases import Commit, IndexedRelease, Marks, ReleaseIndex, Rollout, UpdateMetadata

START = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass
class FixedClock:
    """Time that moves only by hand."""

    moment: datetime = field(default_factory=lambda: START)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def publish(folder: Path, *versions: str, name: str = "stable", minutes: int | None = 60) -> Path:
    """A folder in the layout of the field; the newest release is rolled out from the start on."""
    index = ReleaseIndex(
        stream=name,
        releases=tuple(
            IndexedRelease(version=one, metadata_url="", commits=(Commit(architecture="x86_64", checksum=one * 64),))
            for one in versions
        ),
    )
    rollout = Rollout(start_epoch=int(START.timestamp()), start_percentage=0.0, duration_minutes=minutes)
    updates = UpdateMetadata(stream=name, releases=(Marks(version=versions[-1], rollout=rollout),))
    for path, text in (
        (folder / "prod/streams" / name / "releases.json", releases.render_index(index)),
        (folder / "updates" / f"{name}.json", releases.render_updates(updates)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@dataclass
class Server:
    """State and handlers as ``serve`` puts them together."""

    folder: Path
    clock: FixedClock = field(default_factory=FixedClock)

    def __post_init__(self) -> None:
        self.state, self.requests = State(self.folder, clock=self.clock), Requests()
        self.nodes = GraphHandler(self.state, self.requests, clock=self.clock)
        self.status = StatusHandler(self.state, self.requests, connections=lambda: 3)

    def get(self, query: str = "stream=stable&basearch=x86_64", *, path: str = "/v1/graph") -> tuple[int, bytes]:
        return split(self.nodes(Request(method="GET", path=path, query=query, takes_gzip=False)))

    def look(self, path: str) -> tuple[int, bytes]:
        return split(self.status(Request(method="GET", path=path, query="", takes_gzip=False)))


def split(data: bytes) -> tuple[int, bytes]:
    head, _, body = data.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    return int(head.split(b" ")[1]), body


def edges(body: bytes) -> tuple[tuple[int, int], ...]:
    return wire.parse(body, source="answer").edges


@pytest.fixture
def server(tmp_path: Path) -> Server:
    made = Server(publish(tmp_path / "www", "1", "2"))
    assert made.state.refresh()
    return made


def test_a_rollout_reaches_a_node_when_its_time_has_come(server: Server) -> None:
    query = "stream=stable&basearch=x86_64&rollout_wariness=0.500000"

    server.clock.sleep(29 * 60)
    assert edges(server.get(query)[1]) == ()
    server.clock.sleep(60)
    assert edges(server.get(query)[1]) == ((0, 1),)


def test_a_compressed_answer_says_so(server: Server) -> None:
    request = Request(method="GET", path="/v1/graph", query="stream=stable&basearch=x86_64", takes_gzip=True)
    data = server.nodes(request)

    assert b"Content-Encoding: gzip\r\n" in data
    assert gzip.decompress(split(data)[1]) == server.get()[1]


@pytest.mark.parametrize(
    ("path", "query", "status", "kind"),
    [
        ("/", "", 404, "does_not_exist"),
        ("/v1/graph/", "stream=stable&basearch=x86_64", 404, "does_not_exist"),
        ("/v1/graph", "stream=stable", 400, "missing_params"),
        ("/v1/graph", "stream=stable&basearch=x86_64&oci=2", 400, "invalid_params"),
        ("/v1/graph", "stream=other&basearch=x86_64", 404, "does_not_exist"),
    ],
)
def test_errors_have_the_form_of_the_protocol(server: Server, path: str, query: str, status: int, kind: str) -> None:
    found, body = server.get(query, path=path)

    assert found == status
    assert wire.parse_refusal(body, source="answer").kind == kind


def test_new_metadata_are_taken_whole(server: Server, tmp_path: Path) -> None:
    publish(tmp_path / "www", "1", "2", "3")

    assert server.state.refresh()
    server.clock.sleep(3601)
    assert edges(server.get()[1]) == ((0, 2), (1, 2))


def test_metadata_that_did_not_change_are_not_read_again(server: Server) -> None:
    assert not server.state.refresh()
    assert server.state.loads == 1


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda www: (www / "updates/stable.json").write_text("{"), id="torn"),
        pytest.param(lambda www: (www / "prod/streams/stable/releases.json").unlink(), id="index gone"),
        pytest.param(lambda www: publish(www, "1", name="x").joinpath("updates/x.json").write_text("[]"), id="other"),
        pytest.param(
            lambda www: (www / "updates/stable.json").write_text('{"stream": "next", "releases": []}'),
            id="of another stream",
        ),
    ],
)
def test_metadata_that_cannot_be_used_leave_the_old_answers_and_are_told(
    server: Server, tmp_path: Path, damage: object
) -> None:
    before = server.get()
    assert callable(damage)
    damage(tmp_path / "www")

    assert not server.state.refresh()

    assert server.get() == before
    assert server.look("/health")[0] == 200
    status, body = server.look("/ready")
    assert status == 503
    assert json.loads(body)["problem"]
    assert b"nestos_updates_metadata_stale 1\n" in server.look("/metrics")[1]

    publish(tmp_path / "www", "1", "2")
    (tmp_path / "www/updates/x.json").unlink(missing_ok=True)
    server.state.refresh()
    assert server.look("/ready")[0] == 200


def test_before_metadata_are_there_nodes_are_told_to_wait(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.state.refresh()

    status, body = server.get()
    assert status == 503
    assert wire.parse_refusal(body, source="answer").kind == "not_ready"
    assert server.look("/health")[0] == 503


def test_requests_and_graphs_are_counted(server: Server) -> None:
    server.get("stream=stable&basearch=x86_64&node_uuid=a")
    server.get("stream=stable")
    text = server.look("/metrics")[1].decode()

    assert 'nestos_updates_graph_responses_total{code="200"} 1\n' in text
    assert 'nestos_updates_graph_responses_total{code="400"} 1\n' in text
    labels = '{basearch="x86_64",stream="stable",type="checksum"}'
    assert f"fcos_cincinnati_gb_scraper_graph_final_releases{labels} 2\n" in text
    assert f"fcos_cincinnati_gb_scraper_graph_final_edges{labels} 1\n" in text
    assert "nestos_updates_connections 3\n" in text


def test_a_generation_that_is_exchanged_is_read_as_one(tmp_path: Path) -> None:
    """The link moves between two files: both are still those of one generation."""
    old, new = publish(tmp_path / "a/public", "1"), publish(tmp_path / "b/public", "1", "2")
    (tmp_path / "current").symlink_to("a")
    folder = source.public_folder(tmp_path)
    assert folder == tmp_path / "current/public"
    before = source.stamp(folder)

    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("b")

    assert {Path(name).is_relative_to(old) for name, _, _ in before} == {True}
    assert {Path(name).is_relative_to(new) for name, _, _ in source.stamp(folder)} == {True}


# Plain files


def test_the_export_has_what_the_server_would_answer(server: Server, tmp_path: Path) -> None:
    server.clock.sleep(30 * 60)
    now = int(server.clock.now().timestamp())

    made = export.files(server.state.answers, classes={"early": 0.1, "calm": 1.0}, now=now)

    assert sorted(made) == [
        *("stable/x86_64/calm-oci/v1/graph", "stable/x86_64/calm/v1/graph"),
        *("stable/x86_64/early-oci/v1/graph", "stable/x86_64/early/v1/graph"),
    ]
    assert edges(made["stable/x86_64/early/v1/graph"]) == ((0, 1),)
    assert edges(made["stable/x86_64/calm/v1/graph"]) == ()
    query = "stream=stable&basearch=x86_64&rollout_wariness=0.100000"
    assert made["stable/x86_64/early/v1/graph"] == server.get(query)[1]


def test_the_export_writes_what_changed_and_clears_away_what_is_gone(tmp_path: Path) -> None:
    target = tmp_path / "out"
    (target / "own").mkdir(parents=True)
    (target / "own/page").touch()

    assert export.write({"a/v1/graph": b"1", "b/v1/graph": b"2"}, target) == (2, 0)
    assert export.write({"a/v1/graph": b"1", "c/v1/graph": b"3"}, target) == (1, 1)

    assert not (target / "b/v1/graph").exists()
    assert (target / "a/v1/graph").read_bytes() == b"1"
    assert (target / "own/page").exists()


@pytest.mark.parametrize("classes", [{"a/b": 0.5}, {"": 0.5}, {"a": 1.5}, {"a": -0.1}, {"a": float("nan")}])
def test_a_class_that_makes_no_sense_is_refused(server: Server, classes: dict[str, float]) -> None:
    with pytest.raises(InputError):
        export.files(server.state.answers, classes=classes, now=0)


def test_a_mirror_does_not_lead_the_export_out_of_its_folder(tmp_path: Path) -> None:
    publish(tmp_path, "1", "2")
    for path in tmp_path.rglob("releases.json"):
        path.write_text(path.read_text().replace("x86_64", "../../../etc"))

    with pytest.raises(InputError, match="not usable as architecture"):
        export.files(source.load(tmp_path), classes={"calm": 1.0}, now=0)


# The server around it


def test_a_server_that_no_longer_looks_for_metadata_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would else serve for ever what was withdrawn meanwhile."""

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    async def listen(*_: object) -> Mock:
        return Mock(sockets=[Mock(getsockname=lambda: ("127.0.0.1", 1))])

    monkeypatch.setattr(service, "_refresh", broken)
    monkeypatch.setattr(service, "_listen", listen)
    settings = service.Settings(folder=publish(tmp_path, "1"))

    with pytest.raises(RuntimeError, match="a bug"):
        asyncio.run(asyncio.wait_for(service.serve(settings, clock=FixedClock(), started=lambda _: None), 5))


def test_a_folder_without_streams_is_told(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="has no stream"):
        source.load(tmp_path)
