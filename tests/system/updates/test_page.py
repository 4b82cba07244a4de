"""The page in a real browser: with scripts and without, looked at and clicked through."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nestos.wire.report import Outcome
from tests.system.updates import browser
from tests.system.updates.browser import Browser, browsing
from tests.system.updates.server import Server, eventually, published, release, running, token

pytestmark = pytest.mark.skipif(
    bool(browser.MISSING), reason=f"the page is not tested in a browser: {', '.join(browser.MISSING)} is missing"
)

VERSIONS = ("13.20261102.0", "13.20261109.0", "13.20261116.0", "13.20261123.0")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A stream with a barrier, a release that was halted, and one whose first wave is under way."""
    folder = tmp_path_factory.mktemp("page") / "releases"
    release(folder, "init", "--url=https://updates.example.org/")
    published(folder, *VERSIONS)
    release(folder, "rollout", "stable", VERSIONS[1], "--hours=0")
    release(folder, "barrier", "stable", VERSIONS[1], "--reason=new keys")
    release(folder, "rollout", "stable", VERSIONS[2], "--canaries=canary", "--hours=0", "--go-back")
    with running(folder) as server:
        for node in range(40):
            server.report(node, to=VERSIONS[1], group="canary" if node < 3 else "default")
        server.report(1, to=VERSIONS[2], outcome=Outcome.ROLLED_BACK, group="canary")
        path = f"/v1/streams/stable/failures?version={VERSIONS[2]}"
        reader = token(folder, "reader", "read")
        eventually("the release is halted", lambda: is_halted(server, reader))
        assert server.api(path, token=reader)[1][0]["outcome"] == "rolled-back"
        release(folder, "rollout", "stable", VERSIONS[3], "--canaries=canary", "--waves=5%,20%,50%", "--stage-hours=4")
        release(folder, "advance", "stable", VERSIONS[3])
        release(folder, "advance", "stable", VERSIONS[3])
        for node in range(9):
            server.report(node, to=VERSIONS[3], group="canary" if node < 3 else "default")
        yield server


def is_halted(server: Server, reader: str) -> bool:
    releases = server.api("/v1/streams/stable", token=reader)[1]["releases"]
    return any(one["version"] == VERSIONS[2] and one["halted"] for one in releases)


def logged_in(window: Browser, server: Server, *, role: str, name: str) -> None:
    window.go(f"{server.admin}/login")
    window.type("#token", token(server.folder, name, role))
    window.click("button.main")
    assert window.url == f"{server.admin}/"


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_streams_graph_progress_nodes_and_failures_are_read(server: Server, tmp_path: Path, scripts: bool) -> None:
    with browsing(tmp_path / "profile", scripts=scripts) as window:
        logged_in(window, server, role="read", name=f"reader-{scripts}")
        assert "stable" in window.text("main")
        window.click("a.tile")

        page = window.text("main")
        for expected in (*VERSIONS, "wave 2 of 3", "took it well", "halted", "barrier: new keys", "rolled-back"):
            assert expected in page
        assert "<b>docker.service</b> did not start" in page, "text of nodes is shown as text"
        assert window.count("svg.graph .release") == len(VERSIONS)
        assert window.count("svg.graph .way.back") == 1
        assert window.count("a.button") == 0, "who may read only has no buttons"
        window.picture(tmp_path / "stream.png")
        if scripts and os.environ.get("NESTOS_PICTURES"):
            window.picture(Path(os.environ["NESTOS_PICTURES"]) / "stream.png")


def test_what_is_live_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    with browsing(tmp_path / "profile") as window:
        logged_in(window, server, role="read", name="watcher")
        window.go(f"{server.admin}/streams/stable")
        before = window.text(".good dd")
        server.report(30, to=VERSIONS[3])

        eventually("the figure is a new one", lambda: window.text(".good dd") != before)


def test_an_action_is_confirmed_on_a_page_of_its_own_and_audited(server: Server, tmp_path: Path) -> None:
    with browsing(tmp_path / "profile") as window:
        logged_in(window, server, role="operate", name="anna")
        window.go(f"{server.admin}/streams/stable")
        if os.environ.get("NESTOS_PICTURES"):
            window.picture(Path(os.environ["NESTOS_PICTURES"]) / "operator.png")
        window.click("a.button.halt")
        assert f"Halt: {VERSIONS[3]}?" in window.text("main")
        line = (server.folder / "audit.jsonl").read_text().splitlines()[-1]
        assert json.loads(line)["action"] != "halt", "the button alone does nothing"

        window.type("#reason", "seen in the lab")
        if os.environ.get("NESTOS_PICTURES"):
            window.picture(Path(os.environ["NESTOS_PICTURES"]) / "confirm.png")
        window.click("button.main.halt")

        assert window.url == f"{server.admin}/streams/stable"
        assert "seen in the lab" in window.text("main")
        eventually("nobody is offered it", lambda: server.ways(group="canary") & {(VERSIONS[1], VERSIONS[3])} == set())
        line = (server.folder / "audit.jsonl").read_text().splitlines()[-1]
        assert json.loads(line) | {"serial": 0, "time": ""} == {
            "serial": 0,
            "time": "",
            "who": "token:anna",
            "action": "halt",
            "subject": f"stable {VERSIONS[3]}",
            "reason": "seen in the lab",
        }


def test_every_control_has_a_name_and_the_page_has_one_heading(server: Server, tmp_path: Path) -> None:
    """What a screen reader needs: names of controls, a label for each field, one first heading, a language."""
    nameless = """
      const named = e => (e.textContent.trim() || e.getAttribute("aria-label") || (e.labels && e.labels.length));
      return [...document.querySelectorAll("a, button, input:not([type=hidden]), meter, progress, svg[role=img]")]
        .filter(e => !named(e)).map(e => e.outerHTML.slice(0, 80));
    """
    with browsing(tmp_path / "profile") as window:
        window.go(f"{server.admin}/login")
        assert window.run(nameless) == []
        logged_in(window, server, role="admin", name="root")
        for path in ("/", "/streams/stable", f"/streams/stable/{VERSIONS[3]}/withdraw"):
            window.go(server.admin + path)
            assert window.run(nameless) == []
            assert window.count("h1") == 1
            assert window.run("return document.documentElement.lang") == "en"
            assert window.run("return document.documentElement.scrollWidth <= innerWidth")
