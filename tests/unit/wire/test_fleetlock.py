from __future__ import annotations

import json

import pytest

from nestos.base.errors import InputError
from nestos.wire import fleetlock
from nestos.wire.fleetlock import Api, Client, Refusal


def test_a_question_is_read_back() -> None:
    client = Client(id="Ä", group="g.1-x")
    assert fleetlock.parse_request(fleetlock.render_request(client)) == client


def test_the_questions_have_the_protocols_addresses() -> None:
    assert [api.path for api in Api] == ["v1/pre-reboot", "v1/steady-state"]


def test_a_refusal_is_read_back_and_says_no_more_than_it_knows() -> None:
    refusal = Refusal(kind="failed_lock", value="full", holders=("a",), retry_after_seconds=5)
    assert fleetlock.parse_refusal(423, fleetlock.render_refusal(refusal)) == refusal
    assert json.loads(fleetlock.render_refusal(Refusal(kind="k", value="v"))) == {"kind": "k", "value": "v"}


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"kind": 3}'])
def test_what_is_no_refusal_is_told_by_its_status(body: bytes) -> None:
    assert fleetlock.parse_refusal(502, body).kind == "generic_http_502"


def test_members_of_the_wrong_kind_are_left_out() -> None:
    body = b'{"kind": "k", "value": 7, "holders": "a", "retry_after_seconds": -1}'
    assert fleetlock.parse_refusal(500, body) == Refusal(kind="k", value="7")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\xff", id="no text"),
        pytest.param(b"{}", id="no parameters"),
        pytest.param(b'{"client_params": {"id": "a"}}', id="no group"),
        pytest.param(b'{"client_params": {"id": "a\\n", "group": "g"}}', id="a line break"),
        pytest.param(json.dumps({"client_params": {"id": "a" * 257, "group": "g"}}).encode(), id="too long"),
        pytest.param(b'{"client_params": {"id": "a", "group": "g/h"}}', id="a slash"),
    ],
)
def test_other_questions_are_refused(body: bytes) -> None:
    with pytest.raises(InputError) as caught:
        fleetlock.parse_request(body)
    assert caught.value.kind == "invalid_client_identity"


def test_an_answer_without_end_of_depth_is_told_by_its_status() -> None:
    assert fleetlock.parse_refusal(423, b"[" * 60_000).kind == "generic_http_423"
    with pytest.raises(InputError):
        fleetlock.parse_request(b"[" * 60_000)


def test_a_servers_words_are_fit_for_a_terminal_and_a_metric() -> None:
    body = json.dumps({"kind": 'a"} 1\n', "value": "\x1b[2J" + "x" * 9000, "holders": ["\x1b"] * 900}).encode()
    found = fleetlock.parse_refusal(423, body)
    assert found.kind == "unknown"
    assert found.value.isprintable()
    assert len(found.value) < 1000
    assert len(found.holders) == 50
