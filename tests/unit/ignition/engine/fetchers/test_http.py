"""Contents from web servers, against servers in this process."""

from __future__ import annotations

import errno
import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nestos.base.errors import NestosError, NetworkError
from nestos.ignition.engine.acquire import empty
from nestos.ignition.engine.transport import FetchError, NeedsNetworkError, fetch_bytes
from nestos.ignition.spec.model import Resource
from tests.unit.ignition.engine.bench import Bench
from tests.unit.ignition.engine.cloud import Cloud, Page, page

URL = "http://server/path"
CERTIFICATE = (Path(__file__).parents[1] / "data/other-authority.pem").read_text()

Get = Callable[..., bytes]


@pytest.fixture
def cloud(machine: Bench) -> Cloud:
    machine.network = made = Cloud(machine.clock)
    return made


@pytest.fixture
def get(machine: Bench, cloud: Cloud) -> Get:
    def call(
        source: str = URL, *, total_seconds: float = 0.0, config: dict[str, Any] | None = None, **more: Any
    ) -> bytes:
        wanted: Resource = {"source": source, **more}  # type: ignore[typeddict-item]
        transport = machine.transport(total_seconds=total_seconds)
        if config is not None:
            transport = transport.configured({"ignition": {"version": "3.6.0", **config}})  # type: ignore[typeddict-item]
        return fetch_bytes(wanted, transport=transport)

    return call


def test_the_body_is_fetched_with_the_engines_headers(get: Get, cloud: Cloud) -> None:
    cloud.put(URL, "body")

    assert get() == b"body"

    headers = cloud.asked[0].headers
    assert headers["User-Agent"].startswith("Ignition/")
    assert headers["Accept"] == "application/vnd.coreos.ignition+json;version=3.6.0, */*;q=0.1"
    assert headers["Accept-Encoding"] == "identity"
    assert headers["Host"] == "server"
    assert cloud.wires[0].closed


def test_headers_of_the_config_win_and_are_dropped_on_a_redirect(get: Get, cloud: Cloud) -> None:
    cloud.put(URL, page(status=302, Location="https://elsewhere/x"))
    cloud.put("https://elsewhere/x", "body")
    headers = [{"name": "X-AUTH", "value": "secret"}, {"name": "accept", "value": "*/*"}]

    assert get(httpHeaders=headers) == b"body"

    first, second = (asked.headers for asked in cloud.asked)
    assert (first["X-Auth"], first["Accept"]) == ("secret", "*/*")
    assert "X-Auth" not in second
    assert second["Accept"].startswith("application/")


def test_a_header_without_a_value_is_refused(get: Get) -> None:
    with pytest.raises(FetchError, match="unable to parse HTTP header"):
        get(httpHeaders=[{"name": "X-Auth"}])


@pytest.mark.parametrize(
    ("location", "reached"),
    [
        ("/other?q=1", "http://server/other?q=1"),
        ("other", "http://server/folder/other"),
        ("../other", "http://server/other"),
        ("//elsewhere/x", "http://elsewhere/x"),
        ("?q", "http://server/folder/page?q"),
    ],
)
def test_redirects_may_be_relative(location: str, reached: str, get: Get, cloud: Cloud) -> None:
    cloud.put("http://server/folder/page", page(status=307, Location=location))
    cloud.put(reached, "body")

    assert get("http://server/folder/page") == b"body"


def test_a_redirect_to_another_kind_of_url_is_not_followed(get: Get, cloud: Cloud) -> None:
    cloud.put(URL, page(status=302, Location="file:///etc/passwd"))

    with pytest.raises(FetchError):
        get()


def test_redirects_in_a_circle_end(get: Get, cloud: Cloud) -> None:
    cloud.put(URL, page(status=301, Location=URL))

    with pytest.raises(FetchError, match="stopped after 10 redirects"):
        get()

    assert len(cloud.asked) == 11


def test_server_errors_and_network_errors_are_tried_again_with_growing_waits(
    get: Get, cloud: Cloud, machine: Bench
) -> None:
    cloud.faults = [OSError(errno.ENETUNREACH, "Network is unreachable")] * 3
    cloud.put(URL, [Page(status=503)] * 4 + [page("body")])

    assert get() == b"body"
    assert machine.clock.slept == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_who_waits_reads_every_ten_seconds_what_for(get: Get, cloud: Cloud, machine: Bench) -> None:
    cloud.faults = [OSError(errno.ENETUNREACH, "Network is unreachable")] * 10
    cloud.put(URL, "body")

    get(total_seconds=60)

    lines = [line for line in machine.said.splitlines() if "waiting for" in line]
    assert lines == [
        "WARNING  : waiting for http://server/path since 11 s, 49 s left: Network is unreachable",
        "WARNING  : waiting for http://server/path since 21 s, 39 s left: Network is unreachable",
        "WARNING  : waiting for http://server/path since 31 s, 29 s left: Network is unreachable",
    ]


def test_after_the_total_time_it_is_given_up(get: Get, cloud: Cloud, machine: Bench) -> None:
    cloud.put(URL, Page(status=500))

    with pytest.raises(NetworkError, match=r"unable to fetch resource in time.*within 10 s: answer 500"):
        get(total_seconds=10)

    assert sum(machine.clock.slept) < 10


def test_a_server_that_does_not_begin_to_answer_is_asked_again(get: Get, cloud: Cloud, machine: Bench) -> None:
    cloud.put(URL, [Page(after_seconds=11), Page(body=b"body", after_seconds=9)])

    assert get() == b"body"
    assert machine.clock.slept == [10.0, 0.2, 9]


def test_the_config_says_how_long_an_answer_may_take(get: Get, cloud: Cloud, machine: Bench) -> None:
    cloud.put(URL, [Page(after_seconds=3), Page(body=b"body", after_seconds=1.5)])

    assert get(config={"timeouts": {"httpResponseHeaders": 2}}) == b"body"
    assert machine.clock.slept == [2.0, 0.2, 1.5]


def test_how_long_an_answer_may_take_ends_with_its_head(get: Get, cloud: Cloud, machine: Bench) -> None:
    cloud.put(URL, [Page(body=b"body", after_seconds=1, body_after_seconds=15)])

    assert get(config={"timeouts": {"httpResponseHeaders": 2}}) == b"body"
    assert machine.clock.slept == [1, 15]


def test_no_attempt_takes_longer_than_what_is_left(get: Get, cloud: Cloud, machine: Bench) -> None:
    cloud.silent = {"server"}

    with pytest.raises(NetworkError):
        get(config={"timeouts": {"httpTotal": 33}})

    assert machine.clock.monotonic() <= 33


@pytest.mark.parametrize(
    ("status", "text"), [(404, "not found"), (403, "403"), (400, "400"), (206, "206"), (304, "304")]
)
def test_other_answers_fail_at_once(status: int, text: str, get: Get, cloud: Cloud, machine: Bench) -> None:
    cloud.put(URL, Page(status=status))

    with pytest.raises(NestosError, match=text):
        get()

    assert machine.clock.slept == []


def test_no_content_is_empty(get: Get, cloud: Cloud) -> None:
    cloud.put(URL, Page(status=204))

    assert get() == b""


def test_a_body_that_breaks_off_is_fetched_again_from_its_beginning(get: Get, cloud: Cloud) -> None:
    whole = gzip.compress(b"the whole body")
    cloud.put(URL, [Page(body=whole, cut=12), Page(body=whole)])
    digest = hashlib.sha256(b"the whole body").hexdigest()

    assert get(compression="gzip", verification={"hash": f"sha256-{digest}"}) == b"the whole body"
    assert len(cloud.asked) == 2


def chunked(*chunks: bytes) -> Page:
    body = (
        b"".join(f"{len(chunk):X};note=1\r\n".encode() + chunk + b"\r\n" for chunk in chunks)
        + b"0\r\nX-More: 1\r\n\r\n"
    )
    return Page(body=body, headers={"Transfer-Encoding": "chunked"}, announced=False)


def test_a_body_in_chunks_is_put_together(get: Get, cloud: Cloud) -> None:
    cloud.put(URL, chunked(b"the ", b"whole" * 50000, b" body"))

    assert get() == b"the " + b"whole" * 50000 + b" body"


def test_chunks_that_break_off_are_fetched_again(get: Get, cloud: Cloud) -> None:
    whole = chunked(b"the ", b"body")
    cloud.put(URL, [Page(body=whole.body, headers=whole.headers, announced=False, cut=len(whole.body) - 16), whole])

    assert get() == b"the body"
    assert len(cloud.asked) == 2


def test_a_body_without_a_length_goes_to_the_end_of_the_connection(get: Get, cloud: Cloud) -> None:
    cloud.put(URL, Page(body=b"body", announced=False))

    assert get() == b"body"


def test_what_is_no_gzip_is_refused(get: Get, cloud: Cloud) -> None:
    cloud.put(URL, "not compressed")

    with pytest.raises(FetchError, match="gzip"):
        get(compression="gzip")


def test_the_query_is_never_logged(get: Get, cloud: Cloud, machine: Bench) -> None:
    cloud.put(f"{URL}?token=1", [Page(status=500), Page()])

    get(f"{URL}?token=1")

    assert "http://server/path" in machine.said
    assert "token" not in machine.said


def test_a_user_in_the_url_becomes_a_header(get: Get, cloud: Cloud) -> None:
    cloud.put("http://server:81/x", "")

    get("http://us%40er:pass@server:81/x")

    assert cloud.asked[0].host == "server:81"
    assert cloud.asked[0].headers["Authorization"] == "Basic dXNAZXI6cGFzcw=="


def test_an_ipv6_address_keeps_its_zone_to_itself(get: Get, cloud: Cloud) -> None:
    cloud.put("http://[fe80::1]:8080/x%20y/%C3%A4", "body")

    assert get("http://[fe80::1%25eth0]:8080/x y/ä") == b"body"
    assert cloud.asked[0].host == "fe80::1%eth0:8080"
    assert cloud.asked[0].headers["Host"] == "[fe80::1]:8080"


PROXIES = {"proxy": {"httpProxy": "http://us:er@proxy:3128", "httpsProxy": "https://secure", "noProxy": ["direct"]}}


def test_plain_requests_go_whole_to_the_proxy_of_the_config(get: Get, cloud: Cloud) -> None:
    cloud.put(URL, "by proxy")
    cloud.put("http://direct/", "by itself")

    assert get(config=PROXIES) == b"by proxy"
    assert get("http://direct/", config=PROXIES) == b"by itself"

    through, direct = cloud.asked
    assert (through.host, through.headers["Host"]) == ("proxy:3128", "server")
    assert through.headers["Proxy-Authorization"] == "Basic dXM6ZXI="
    assert (direct.host, "Proxy-Authorization" in direct.headers) == ("direct:80", False)


def test_secured_requests_go_through_a_tunnel(get: Get, cloud: Cloud) -> None:
    cloud.put("https://server/", "body")

    assert get("https://server/", config=PROXIES) == b"body"

    assert cloud.wires[0].tunnel_to == "server:443"
    assert cloud.asked[0].host == "secure:443"
    assert cloud.asked[0].secured == ("secure", "server")


def test_authorities_of_the_config_are_trusted_and_each_is_fetched_once(get: Get, cloud: Cloud) -> None:
    cloud.put("http://ca/", CERTIFICATE)
    cloud.put("https://server/", "body")
    listed = [{"source": "http://ca/"}, {"source": "http://ca/"}]

    get("https://server/", config={"security": {"tls": {"certificateAuthorities": listed}}})

    assert cloud.asked[1].secured == (f"server {CERTIFICATE} {CERTIFICATE}",)
    assert cloud.urls == ["http://ca/", "https://server/"]


def test_without_a_network_nothing_is_asked(machine: Bench) -> None:
    with pytest.raises(NeedsNetworkError):
        fetch_bytes({"source": URL}, transport=machine.transport(offline=True))


@pytest.mark.parametrize("url", ["http:///path", "http://", "http:path", "https://" + "x" * 64 + "/"])
def test_a_url_without_a_host_is_no_url(url: str, get: Get) -> None:
    with pytest.raises(FetchError):
        get(url)


def test_the_fetch_stage_gets_a_config_over_the_network(machine: Bench, cloud: Cloud) -> None:
    cloud.put("http://server/config.ign", '{"ignition": {"version": "3.3.0"}}')
    (machine.folder / "cmdline").write_text("ignition.config.url=http://server/config.ign\n")

    assert machine.stage("fetch") == 0, machine.said
    assert machine.cached() == empty()


def test_a_config_that_leads_to_itself_is_stopped(machine: Bench, cloud: Cloud) -> None:
    config = '{"ignition": {"version": "3.3.0", "config": {"merge": [{"source": "http://server/config.ign"}]}}}'
    cloud.put("http://server/config.ign", config)
    machine.give(config)

    assert machine.stage("fetch") == 1
    assert "configs refer to each other more than 64 deep" in machine.said
