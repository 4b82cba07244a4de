from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from nestos.agent.http import Answer, Question
from nestos.agent.identity import Identity
from nestos.agent.servers import Cincinnati, FleetLock
from nestos.base.errors import InputError, NetworkError
from nestos.wire import graph as wire
from nestos.wire.fleetlock import Api
from tests.unit.agent.fakes import graph

WHO = Identity(node_uuid="ab", group="web", basearch="x86_64", platform="qemu", stream="stable", wariness=0.25)


class Wire:
    """Keeps the last question; gives ``answer``, or nothing."""

    def __init__(self, status: int = 200, body: bytes = b"", *, is_gone: bool = False) -> None:
        self.answer = Answer(status=status, headers={}, body=body)
        self.is_gone = is_gone
        self.question = Question(url="")

    def __call__(self, question: Question, /) -> Answer:
        self.question = question
        if self.is_gone:
            raise NetworkError("u.example: Connection refused")
        return self.answer


def test_the_update_server_is_asked_with_the_originals_parameters() -> None:
    net = Wire(body=wire.render(graph("1", "2")))
    found = Cincinnati("https://u.example/${stream}/", who=WHO, ask=net).graph(version="1", payload="abc")
    assert found == graph("1", "2")
    url = urlsplit(net.question.url)
    assert (url.path, net.question.headers["Accept"]) == ("/stable/v1/graph", "application/json")
    assert {name: values[0] for name, values in parse_qs(url.query).items()} == {
        "basearch": "x86_64",
        "stream": "stable",
        "os_version": "1",
        "os_checksum": "abc",
        "group": "web",
        "node_uuid": "ab",
        "platform": "qemu",
        "rollout_wariness": "0.250000",
    }


@pytest.mark.parametrize(
    ("net", "kind"),
    [
        pytest.param(Wire(is_gone=True), "client_failed_request", id="gone"),
        pytest.param(Wire(503), "generic_http_503", id="overloaded"),
        pytest.param(Wire(400, b'{"kind": "missing_params", "value": "stream"}'), "missing_params", id="refused"),
        pytest.param(Wire(500, b'{"kind": 3}'), "generic_http_500", id="no refusal"),
        pytest.param(Wire(200, b"<html>"), "client_failed_json_decoding", id="no JSON"),
        pytest.param(Wire(200, b'{"nodes": 3}'), "client_failed_json_decoding", id="no graph"),
    ],
)
def test_an_update_server_in_trouble_has_the_originals_kind_of_error(net: Wire, kind: str) -> None:
    with pytest.raises((NetworkError, InputError)) as caught:
        Cincinnati("http://u", who=WHO, ask=net).graph(version="1", payload="abc")
    assert caught.value.kind == kind


def test_the_lock_server_is_asked_by_the_protocol() -> None:
    net = Wire()
    assert FleetLock("http://l.example/${group}/", who=WHO, ask=net).ask(Api.PRE_REBOOT) is None
    question = net.question
    assert (question.method, question.url) == ("POST", "http://l.example/web/v1/pre-reboot")
    assert question.headers["fleet-lock-protocol"] == "true"
    assert json.loads(question.body) == {"client_params": {"id": "ab", "group": "web"}}


def test_a_refusal_of_a_strange_lock_server_is_one_too() -> None:
    refusal = FleetLock("http://l", who=WHO, ask=Wire(500, b"no\n")).ask(Api.PRE_REBOOT)
    assert refusal is not None
    assert refusal.kind == "generic_http_500"
    with pytest.raises(NetworkError) as caught:
        FleetLock("http://l", who=WHO, ask=Wire(is_gone=True)).ask(Api.STEADY_STATE)
    assert caught.value.kind == "client_failed_request"
