"""Contents from web servers, against a server that is a function in this process."""

from __future__ import annotations

import email.message
import gzip
import hashlib
import io
import urllib.error
from collections.abc import Callable
from typing import Any
from urllib.request import BaseHandler, Request
from urllib.response import addinfourl

import pytest

from nestos.base.errors import NestosError, NetworkError
from nestos.ignition.engine.transport import NeedsNetworkError, fetch_bytes
from nestos.ignition.spec.model import Resource
from tests.unit.ignition.engine.bench import Bench

Answer = tuple[int, dict[str, str], bytes]


class Server(BaseHandler):
    """Answers in turn what it was given; the last answer for good."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []

    def http_open(self, request: Request) -> addinfourl:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        status, headers, body = answer
        message = email.message.Message()
        for name, value in headers.items():
            message[name] = value
        response: Any = addinfourl(io.BytesIO(body), message, request.full_url, status)
        response.msg = response.reason = "reason"
        return response  # type: ignore[no-any-return]

    https_open = http_open


def ok(body: bytes, **headers: str) -> Answer:
    return (200, headers, body)


GetFrom = Callable[..., bytes]


@pytest.fixture
def get(machine: Bench) -> GetFrom:
    def call(server: Server, *, total_seconds: float = 0.0, **resource: Any) -> bytes:
        machine.web = (server,)
        wanted: Resource = {"source": "http://server/path?token=1", **resource}  # type: ignore[typeddict-item]
        return fetch_bytes(wanted, transport=machine.transport(total_seconds=total_seconds))

    return call


def test_the_body_is_fetched_with_the_engines_headers(get: GetFrom) -> None:
    server = Server(ok(b"body"))

    assert get(server) == b"body"

    headers = dict(server.requests[0].header_items())
    assert headers["User-agent"].startswith("Ignition/")
    assert headers["Accept"].startswith("application/vnd.coreos.ignition+json;version=3.")
    assert headers["Accept-encoding"] == "identity"


def test_headers_of_the_config_win_and_are_dropped_on_a_redirect(get: GetFrom) -> None:
    server = Server((302, {"Location": "https://elsewhere/x"}, b""), ok(b"body"))

    get(server, httpHeaders=[{"name": "Authorization", "value": "secret"}, {"name": "ACCEPT", "value": "*/*"}])

    first, second = (dict(request.header_items()) for request in server.requests)
    assert (first["Authorization"], first["Accept"]) == ("secret", "*/*")
    assert "Authorization" not in second
    assert second["Accept"].startswith("application/")
    assert server.requests[1].full_url == "https://elsewhere/x"


def test_a_redirect_to_another_kind_of_url_is_not_followed(get: GetFrom) -> None:
    with pytest.raises(NestosError):
        get(Server((302, {"Location": "file:///etc/passwd"}, b"")), total_seconds=1)


def test_server_errors_and_network_errors_are_tried_again_with_growing_waits(get: GetFrom, machine: Bench) -> None:
    failures: list[Answer | Exception] = [(503, {}, b"")] * 4
    failures += [urllib.error.URLError("refused")] * 3
    server = Server(*failures, ok(b"body"))

    assert get(server) == b"body"
    assert machine.clock.slept == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_after_the_total_time_it_is_given_up(get: GetFrom, machine: Bench) -> None:
    with pytest.raises(NetworkError, match="could not be fetched within 10 s"):
        get(Server((500, {}, b"")), total_seconds=10)

    assert sum(machine.clock.slept) < 10


@pytest.mark.parametrize(("status", "text"), [(404, "not found"), (403, "403"), (400, "400"), (206, "206")])
def test_other_answers_fail_at_once(status: int, text: str, get: GetFrom, machine: Bench) -> None:
    with pytest.raises(NestosError, match=text):
        get(Server((status, {}, b"")))

    assert machine.clock.slept == []


def test_no_content_is_empty(get: GetFrom) -> None:
    assert get(Server((204, {}, b""))) == b""


def test_a_body_that_breaks_off_is_fetched_again_from_its_beginning(get: GetFrom) -> None:
    whole = gzip.compress(b"the whole body")
    server = Server(ok(whole[:12], **{"Content-Length": str(len(whole))}), ok(whole))
    digest = hashlib.sha256(b"the whole body").hexdigest()

    assert get(server, compression="gzip", verification={"hash": f"sha256-{digest}"}) == b"the whole body"


def test_the_query_is_never_logged(get: GetFrom, machine: Bench) -> None:
    get(Server((500, {}, b""), ok(b"")))

    assert "http://server/path" in machine.said
    assert "token" not in machine.said


def test_a_user_in_the_url_becomes_a_header(get: GetFrom) -> None:
    server = Server(ok(b""))

    get(server, source="http://us%40er:pass@server:81/x")

    assert server.requests[0].full_url == "http://server:81/x"
    assert dict(server.requests[0].header_items())["Authorization"] == "Basic dXNAZXI6cGFzcw=="


def test_the_proxy_of_the_config_is_used_and_none_of_the_environment(
    machine: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://environment:1")
    server = Server(ok(b""))
    machine.web = (server,)
    proxy = {"httpProxy": "http://proxy:3128", "noProxy": ["direct"]}
    config: Any = {"ignition": {"version": "3.6.0", "proxy": proxy, "timeouts": {"httpTotal": 7}}}

    plain = machine.transport()
    configured = plain.configured(config)
    for transport, host in ((plain, "server"), (configured, "server"), (configured, "direct")):
        fetch_bytes({"source": f"http://{host}/"}, transport=transport)

    assert [request.host for request in server.requests] == ["server", "proxy:3128", "direct"]
    assert configured.total_seconds == 7


def test_without_a_network_nothing_is_asked(machine: Bench) -> None:
    with pytest.raises(NeedsNetworkError):
        fetch_bytes({"source": "http://server/"}, transport=machine.transport(offline=True))


def test_the_fetch_stage_gets_a_config_over_the_network(machine: Bench) -> None:
    machine.web = (Server(ok(b'{"ignition": {"version": "3.3.0"}}')),)
    (machine.folder / "cmdline").write_text("ignition.config.url=http://server/config.ign\n")

    assert machine.stage("fetch") == 0, machine.said
    assert machine.cached() == {"ignition": {"version": "3.6.0"}}


def test_a_config_that_leads_to_itself_is_stopped(machine: Bench) -> None:
    config = b'{"ignition": {"version": "3.3.0", "config": {"merge": [{"source": "http://server/config.ign"}]}}}'
    machine.web = (Server(ok(config)),)
    machine.give(config.decode())

    assert machine.stage("fetch") == 1
    assert "configs refer to each other more than 64 deep" in machine.said
