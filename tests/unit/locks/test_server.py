from __future__ import annotations

import io
import json
from email.message import Message
from pathlib import Path

import pytest

from nestos.base.errors import StateError
from nestos.locks import server
from nestos.locks.settings import Group
from nestos.wire import fleetlock
from tests.unit.locks.fakes import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, Group(name="default", slots=1))


def test_a_slot_is_taken_and_given_back(bench: Bench) -> None:
    assert bench.post("/v1/pre-reboot", name="a").status == 200
    assert bench.holders() == ["a"]
    assert bench.post("/v1/steady-state", name="a").status == 200
    assert bench.holders() == []


def test_a_refusal_names_the_holders_and_when_to_ask_again(bench: Bench) -> None:
    bench.post("/v1/pre-reboot", name="a")
    answer = bench.post("/v1/pre-reboot", name="b")
    assert (answer.status, dict(answer.headers)) == (423, {"Retry-After": "60"})
    assert json.loads(answer.body) == {
        "kind": "failed_lock",
        "value": "all 1 slots of default are taken: a",
        "holders": ["a"],
        "retry_after_seconds": 60,
    }


@pytest.mark.parametrize(
    ("headers", "body", "group"),
    [
        pytest.param({}, b'{"client_params":{"id":"a","group":"default"}}', "default", id="no header"),
        pytest.param({fleetlock.HEADER: "true"}, b"", "", id="no body"),
        pytest.param({fleetlock.HEADER: "true"}, b"[]", "", id="no object"),
        pytest.param({fleetlock.HEADER: "true"}, b'{"client_params":{"id":"","group":"default"}}', "", id="no id"),
        pytest.param({fleetlock.HEADER: "true"}, b'{"client_params":{"id":"a","group":"a b"}}', "", id="wrong group"),
        pytest.param({fleetlock.HEADER: "true"}, b'{"client_params":{"id":7,"group":"default"}}', "", id="a number"),
    ],
)
def test_what_is_not_the_protocol_is_refused(bench: Bench, headers: dict[str, str], body: bytes, group: str) -> None:
    for path in ("/v1/pre-reboot", "/v1/steady-state"):
        answer = bench.service.answer("POST", path, headers=headers, body=body)
        assert (answer.status, json.loads(answer.body)["kind"]) == (400, "invalid_client_identity")
    assert bench.holders() == []


def test_the_content_type_does_not_matter_nor_how_the_json_is_laid_out(bench: Bench) -> None:
    """The original's client sends no type, and indented JSON."""
    body = json.dumps({"client_params": {"id": "a", "group": "default"}}, indent=2).encode()
    assert bench.service.answer("POST", "/v1/pre-reboot", headers={fleetlock.HEADER: "true"}, body=body).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/v1/pre-reboot", 405, id="asking by GET"),
        pytest.param("POST", "/metrics", 405, id="metrics by POST"),
        pytest.param("GET", "/v2/pre-reboot", 404, id="another version"),
        pytest.param("GET", "/healthz", 200, id="health"),
    ],
)
def test_methods_and_addresses(bench: Bench, method: str, path: str, status: int) -> None:
    answer = bench.service.answer(method, path, headers={}, body=b"")
    assert answer.status == status
    assert status == 200 or set(json.loads(answer.body)) == {"kind", "value"}


def test_an_unknown_group_is_the_clients_mistake(bench: Bench) -> None:
    answer = bench.post("/v1/pre-reboot", group="other")
    assert (answer.status, json.loads(answer.body)["kind"]) == (400, "unknown_group")


def test_a_database_that_is_gone_is_the_servers_mistake(bench: Bench) -> None:
    bench.path.unlink()
    bench.path.mkdir()
    answer = bench.post("/v1/pre-reboot")
    assert (answer.status, json.loads(answer.body)["kind"]) == (500, "failed_database")
    assert bench.service.answer("GET", "/healthz", headers={}, body=b"").status == 500


def test_the_listing_shows_holders_and_waiters(bench: Bench) -> None:
    bench.post("/v1/pre-reboot", name="a")
    bench.post("/v1/pre-reboot", name="b")
    document = json.loads(bench.service.answer("GET", "/v1/holders?x=1", headers={}, body=b"").body)
    assert [(item["id"], item["lost"]) for item in document["holders"]] == [("a", False)]
    assert [item["id"] for item in document["waiters"]] == ["b"]
    assert document["groups"]["default"]["slots"] == 1


def test_metrics_have_the_originals_names_and_ours(bench: Bench) -> None:
    for name in "aab":
        bench.post("/v1/pre-reboot", name=name)
    bench.post("/v1/steady-state", name="c")
    lines = bench.service.answer("GET", "/metrics", headers={}, body=b"").body.decode().splitlines()
    for line in (
        "airlock_config_groups 1",
        'airlock_config_semaphore_slots{group="default"} 1',
        'airlock_database_semaphore_lock_holders{group="default"} 1',
        "airlock_v1_pre_reboot_incoming_requests_total 3",
        "airlock_v1_steady_state_incoming_requests_total 1",
        'nestos_locks_refusals_total{api="pre-reboot",kind="failed_lock"} 1',
        'nestos_locks_waiters{group="default"} 1',
    ):
        assert line in lines


def test_an_address_that_is_taken_is_an_error_of_ours(bench: Bench) -> None:
    with pytest.raises(StateError, match="cannot listen"):
        server.listening(bench.service, address="192.0.2.1", port=1)


@pytest.mark.parametrize("length", ["\u00b2", "-1", "1e3", "+5", "", "65537"])
def test_a_length_that_is_none_ends_the_connection_with_an_answer(bench: Bench, length: str) -> None:
    """Latin-1 has digits of which ``int`` makes no number."""
    handler = object.__new__(server._Handler)
    handler.service, handler.command, handler.path = bench.service, "POST", "/v1/pre-reboot"
    handler.request_version, handler.requestline, handler.client_address = "HTTP/1.1", "", ("", 0)
    handler.headers = Message()
    handler.headers["Content-Length"] = length
    handler.rfile, handler.wfile = io.BytesIO(), io.BytesIO()

    handler._serve()

    assert handler.wfile.getvalue().startswith(b"HTTP/1.1 413 ")
    assert handler.close_connection
