"""The admin address without a socket: who may do what, what is shown, what a change leaves behind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nestos.base.errors import InputError, StateError
from nestos.updates import model
from nestos.updates.admin import actions, drawing, openapi
from nestos.updates.admin.api import Api, Steering
from nestos.updates.admin.page import Page
from nestos.updates.admin.tokens import Role, Tokens
from nestos.updates.admin.views import Views
from nestos.updates.http import Request
from nestos.wire import graph as wire
from nestos.wire.graph import Graph, Node
from nestos.wire.report import Outcome
from tests.unit.updates.test_fleet import say, told
from tests.unit.updates.test_guardian import Server, last_line


class Desk:
    """API and page over a server, and a token for each role."""

    def __init__(self, path: Path) -> None:
        self.server = Server(path)
        self.tokens = Tokens(path / "tokens.json")
        self.secrets = {role: self.tokens.add(role.name.lower(), role=role) for role in Role}
        views = Views(
            folder=self.server.folder,
            fleet=self.server.fleet,
            guardian=self.server.guardian,
            clock=self.server.clock,
        )
        self.changes = 0
        steering = Steering(views=views, seal=self.server.seal, changed=self._changed)
        self.programs, self.people = Api(steering, self.tokens), Page(steering, self.tokens, clock=self.server.clock)

    def _changed(self) -> None:
        self.changes += 1

    def api(self, path: str, *, role: Role | None = Role.READ, body: object = None) -> tuple[int, Any]:
        head = f"Authorization: Bearer {self.secrets[role]}".encode() if role else b""
        place, _, query = path.partition("?")
        data = b"" if body is None else json.dumps(body).encode()
        method = "GET" if body is None else "POST"
        said = self.programs(Request(method=method, path=place, query=query, takes_gzip=False, body=data, head=head))
        start, _, text = said.partition(b"\r\n\r\n")
        return int(start.split(b" ")[1]), json.loads(text)

    def page(self, path: str, *, cookie: str = "", form: str | None = None) -> tuple[int, str, str]:
        """Status, head and text."""
        place, _, query = path.partition("?")
        said = self.people(
            Request(
                method="GET" if form is None else "POST",
                path=place,
                query=query,
                takes_gzip=False,
                body=(form or "").encode(),
                head=f"Cookie: other=1; {cookie}".encode(),
            )
        )
        start, _, text = said.partition(b"\r\n\r\n")
        return int(start.split(b" ")[1]), start.decode(), text.decode()

    def log_in(self, role: Role) -> str:
        """The cookie."""
        _, head, _ = self.page("/login", form=f"token={self.secrets[role]}")
        found = re.search(r"Set-Cookie: (nestos-session=[^;]+); Path=/; HttpOnly; SameSite=Strict", head)
        assert found
        return found.group(1)

    def proof(self, cookie: str) -> str:
        """What the session's forms carry."""
        found = re.search(r'name="proof" value="([^"]+)"', self.page("/", cookie=cookie)[2])
        assert found
        return found.group(1)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr("os.fsync", lambda _: None)
    made = Desk(tmp_path / "releases")
    yield made
    made.server.fleet.close()


# Tokens


def test_a_token_is_kept_as_a_hash_that_only_its_owner_reads(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    secret = tokens.add("anna", role=Role.OPERATE)

    assert secret not in (tmp_path / "tokens.json").read_text()
    assert (tmp_path / "tokens.json").stat().st_mode & 0o777 == 0o600
    found = Tokens(tmp_path / "tokens.json").find(secret)
    assert found is not None
    assert (found.name, found.role) == ("anna", Role.OPERATE)
    assert tokens.find("other") is None


def test_a_token_that_is_taken_away_ends_at_once_also_elsewhere(tmp_path: Path) -> None:
    tokens, other = Tokens(tmp_path / "tokens.json"), Tokens(tmp_path / "tokens.json")
    secret = tokens.add("anna", role=Role.READ)
    assert other.find(secret)

    tokens.remove("anna")

    assert other.find(secret) is None
    with pytest.raises(InputError, match="no token anna"):
        tokens.remove("anna")


def test_names_of_tokens_are_unique_and_plain(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    tokens.add("anna", role=Role.READ)

    with pytest.raises(StateError, match="already"):
        tokens.add("anna", role=Role.ADMIN)
    with pytest.raises(InputError, match="not usable"):
        tokens.add("a b", role=Role.READ)


def test_a_file_of_tokens_that_is_damaged_lets_nobody_in(tmp_path: Path) -> None:
    (tmp_path / "tokens.json").write_text("[{}]")

    with pytest.raises(StateError, match="not a file of tokens"):
        Tokens(tmp_path / "tokens.json").find("x")


# The API


def test_the_description_is_public_and_everything_else_needs_a_token(desk: Desk) -> None:
    assert desk.api("/openapi.json", role=None)[0] == 200
    assert desk.api("/v1/streams", role=None)[0] == 401


def test_every_question_and_every_action_is_described(desk: Desk) -> None:
    described = openapi.document()["paths"]
    for path in described:
        if "get" in described[path]:
            asked = path.replace("{stream}", "stable") + ("?basearch=x86_64" if path.endswith("graph") else "")
            assert desk.api(asked)[0] == 200, path
    posted = [path.rpartition("/")[2] for path in described if "post" in described[path]]
    assert posted == [action.name for action in actions.ACTIONS]


def test_a_stream_is_shown_with_what_nodes_reported(desk: Desk) -> None:
    say(desk.server.fleet, told(1, group="canary"))
    say(desk.server.fleet, told(2, Outcome.FAILED, to="2"))
    _, view = desk.api("/v1/streams/stable")

    newest = view["releases"][0]
    assert (newest["version"], newest["nodes"]) == ("2", {"running": 1, "good": 1, "failed": 1})
    assert [(stage["name"], stage["state"]) for stage in newest["stages"]] == [
        ("canaries", "now"),
        ("wave 1 of 1", "to come"),
        ("everyone", "to come"),
    ]
    assert newest["verdict"] == "canaries: 60 min to go"
    assert desk.api("/v1/streams/stable/failures")[1][0]["reason"] == "it hung"
    assert desk.api("/v1/streams")[1][0]["nodes"] == 2


@pytest.mark.parametrize(
    ("path", "role", "body", "status", "kind"),
    [
        ("/v1/streams/other", Role.READ, None, 404, "does_not_exist"),
        ("/v1/else", Role.READ, None, 404, "does_not_exist"),
        ("/v1/streams/stable/graph?basearch=s390x", Role.READ, None, 404, "does_not_exist"),
        ("/v1/audit?limit=0", Role.READ, None, 400, "input"),
        ("/v1/streams/stable/releases/2/pause", Role.READ, {}, 403, "forbidden"),
        ("/v1/streams/stable/releases/2/withdraw", Role.OPERATE, {"reason": "x"}, 403, "forbidden"),
        ("/v1/streams/stable/releases/2/halt", Role.OPERATE, {}, 400, "input"),
        ("/v1/streams/stable/releases/2/halt", Role.OPERATE, {"reason": " "}, 400, "input"),
        ("/v1/streams/stable/releases/2/halt", Role.OPERATE, {"reson": "x"}, 400, "input"),
        ("/v1/streams/stable/releases/2/stop", Role.OPERATE, {}, 400, "input"),
        ("/v1/streams/stable/releases/7/pause", Role.OPERATE, {}, 400, "input"),
        ("/v1/streams/stable/releases/2/resume", Role.OPERATE, {}, 409, "state"),
    ],
)
def test_what_cannot_be_done_is_told_and_changes_nothing(
    desk: Desk, path: str, role: Role, body: object, status: int, kind: str
) -> None:
    before = last_line(desk.server)

    found, said = desk.api(path, role=role, body=body)

    assert (found, said["kind"]) == (status, kind)
    assert last_line(desk.server) == before
    assert desk.changes == 0


def test_an_action_is_a_change_in_the_tokens_name(desk: Desk) -> None:
    status, said = desk.api("/v1/streams/stable/releases/2/halt", role=Role.OPERATE, body={"reason": "smoke\nfire"})

    assert (status, said["halted"]["reason"]) == (200, "smoke fire")
    line = last_line(desk.server)
    assert (line["who"], line["action"], line["subject"], line["reason"]) == (
        *("token:operate", "halt"),
        *("stable 2", "smoke fire"),
    )
    assert desk.changes == 1
    assert desk.api("/v1/audit?limit=1")[1] == [line]


def test_only_what_would_not_be_refused_is_offered(desk: Desk) -> None:
    held = desk.server.folder.read("stable")

    def names(version: str, role: Role) -> list[str]:
        return [action.name for action in actions.possible(held, version, role=role, now=desk.server.now)]

    assert names("2", Role.READ) == []
    assert names("2", Role.OPERATE) == ["pause", "advance", "halt", "go-back"]
    assert names("1", Role.OPERATE) == []
    assert names("1", Role.ADMIN) == ["emergency", "withdraw"]


# The page


def test_without_a_session_the_page_asks_for_a_token(desk: Desk) -> None:
    status, head, _ = desk.page("/")
    assert (status, "Location: /login\r\n" in head) == (303, True)
    status, _, text = desk.page("/login", form="token=wrong")
    assert (status, "not known here" in text) == (403, True)


def test_a_session_ends_by_time_by_leaving_and_with_its_token(desk: Desk) -> None:
    old, left, removed = (desk.log_in(role) for role in (Role.READ, Role.READ, Role.OPERATE))
    assert desk.page("/", cookie=old)[0] == 200

    desk.page("/logout", cookie=left, form=f"proof={desk.proof(left)}")
    desk.tokens.remove("operate")
    assert (desk.page("/", cookie=left)[0], desk.page("/", cookie=removed)[0]) == (303, 303)
    desk.server.clock.sleep(13 * 3600)
    assert desk.page("/", cookie=old)[0] == 303


@pytest.mark.parametrize("proof", ["", "proof=wrong&"])
def test_a_form_from_elsewhere_does_nothing(desk: Desk, proof: str) -> None:
    cookie = desk.log_in(Role.OPERATE)

    status, _, text = desk.page("/streams/stable/2/halt", cookie=cookie, form=f"{proof}reason=x")

    assert (status, "not of this session" in text) == (403, True)
    assert desk.server.release().halted is None


def test_a_confirmed_form_is_carried_out(desk: Desk) -> None:
    cookie = desk.log_in(Role.OPERATE)
    asked = desk.page("/streams/stable/2/halt", cookie=cookie)[2]
    assert "Halt: 2?" in asked
    assert desk.server.release().halted is None

    status, head, _ = desk.page(
        "/streams/stable/2/halt", cookie=cookie, form=f"proof={desk.proof(cookie)}&reason=smoke"
    )

    assert (status, "Location: /streams/stable\r\n" in head) == (303, True)
    halted = desk.server.release().halted
    assert halted is not None
    assert halted.reason == "smoke"


def test_a_role_that_is_not_enough_gets_no_form_and_no_effect(desk: Desk) -> None:
    cookie = desk.log_in(Role.READ)

    assert "cannot be done now" in desk.page("/streams/stable/2/halt", cookie=cookie)[2]
    form = f"proof={desk.proof(cookie)}&reason=x"
    assert desk.page("/streams/stable/2/halt", cookie=cookie, form=form)[0] == 403
    assert desk.server.release().halted is None


def test_text_from_nodes_and_operators_is_never_markup(desk: Desk) -> None:
    evil = told(1, Outcome.FAILED, group="canary")
    object.__setattr__(evil, "reason", "<script>alert(1)</script>")
    say(desk.server.fleet, evil)
    reason = '"><img src=x>'
    desk.server.change(lambda held: model.halt(held, "2", reason=reason, now=desk.server.now))
    _, head, text = desk.page("/streams/stable", cookie=desk.log_in(Role.READ))

    assert "<script>alert" not in text
    assert "<img" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "Content-Security-Policy: default-src 'none';" in head


@pytest.mark.parametrize("path", ["/style.css", "/page.js"])
def test_style_and_script_are_served(desk: Desk, path: str) -> None:
    assert desk.page(path)[0] == 200


@pytest.mark.parametrize(("path", "status"), [("/streams/other", 404), ("/else", 404), ("/streams/stable/9/halt", 400)])
def test_what_is_not_there_is_told(desk: Desk, path: str, status: int) -> None:
    assert desk.page(path, cookie=desk.log_in(Role.READ))[0] == status


# The picture


def test_ways_forward_and_back_are_drawn_and_text_is_escaped() -> None:
    halted = {wire.HALTED: "true", wire.HALTED_REASON: "<x>"}
    nodes = (Node(version="1&2", payload="a"), Node(version="3", payload="b", metadata=halted))
    made = drawing.draw(Graph(nodes=nodes, edges=((1, 0),)), running={"3": 4}, title='a "title"')

    assert made.count('class="way back"') == 1
    assert "1&amp;2" in made
    assert "3 halted &lt;x&gt;" in made
    assert "halted · 4 nodes" in made
    assert 'aria-label="a &quot;title&quot;"' in made


def test_only_the_newest_releases_are_drawn() -> None:
    nodes = tuple(Node(version=f"v{number}", payload="a") for number in range(12))
    graph = Graph(nodes=nodes, edges=((0, 11), (10, 11)))

    made = drawing.draw(graph, running={}, title="t")
    assert ("v2<" in made, "v3<" in made, made.count('class="way"')) == (False, True, 1)
    assert drawing.left_out(graph) == 3
