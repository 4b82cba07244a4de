"""The page for people: what the API shows, and a form for each thing that may be done. Works without JavaScript.

Whoever shows a token gets a session: a random cookie that no script reads and that goes with requests from this page
alone (``SameSite=Strict``). A form carries a second secret of the session, and what it does is confirmed on a page of
its own. Jinja2 escapes all text: reasons come from nodes.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nestos.base.clock import Clock
from nestos.base.errors import InputError, NestosError
from nestos.updates.admin import actions, drawing
from nestos.updates.admin.api import Steering, status_of
from nestos.updates.admin.tokens import Token, Tokens
from nestos.updates.http import Request, response

_FOLDER = Path(__file__).parents[2] / "dist/admin"
_FILES = {"/style.css": "text/css; charset=utf-8", "/page.js": "text/javascript; charset=utf-8"}
_COOKIE = "nestos-session"
_SESSION_SECONDS = 12 * 3600
_MOST_SESSIONS = 1000
_SAFE = (
    "Content-Security-Policy: default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-store\r\n"
)


@dataclass(frozen=True, kw_only=True)
class Session:
    """Somebody who has shown a token."""

    name: str
    """Of the token; a session ends with it."""
    ends: float
    """By the clock that only goes forward."""
    proof: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    """In every form, and nowhere else."""


class Page:
    """Answers browsers. May block: it reads files and signs."""

    def __init__(self, steering: Steering, tokens: Tokens, *, clock: Clock) -> None:
        self._steering, self._views, self._tokens, self._clock = steering, steering.views, tokens, clock
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        self._templates = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined)
        self._templates.filters["path"] = lambda text: quote(str(text), safe="")

    def __call__(self, request: Request) -> bytes:
        """A whole response."""
        if request.path in _FILES:
            body = (_FOLDER / request.path[1:]).read_bytes()
            return response(200, body, content_type=_FILES[request.path], more="Cache-Control: max-age=300\r\n")
        if request.path == "/login":
            return self._login(request) if request.method == "POST" else self._html("login.html", problem="")
        key = _cookie(request)
        session, token = self._session(key)
        if session is None or token is None:
            return _goto("/login")
        try:
            return self._answer(request, session, token, key=key)
        except NestosError as error:
            return self._html("problem.html", status=status_of(error), session=session, token=token, problem=str(error))

    def _answer(self, request: Request, session: Session, token: Token, *, key: str) -> bytes:
        known: dict[str, Any] = {"session": session, "token": token}
        parts = [unquote(part) for part in request.path.split("/")[1:]]
        if request.method == "POST":
            return self._posted(request, session, token, parts=parts, key=key)
        match parts:
            case [""]:
                return self._html(
                    "streams.html", streams=self._views.streams(), audit=self._views.audit(limit=15), **known
                )
            case ["streams", name]:
                return self._stream(name, parse_qs(request.query).get("basearch", [""])[0], session, token)
            case ["streams", name, version, action]:
                chosen = actions.require(action)
                held = self._views.held(name)
                held.require(version)
                release = next(one for one in self._views.stream(name)["releases"] if one["version"] == version)
                can = chosen in actions.possible(held, version, role=token.role, now=self._views.now)
                return self._html("confirm.html", stream=name, release=release, action=chosen, can=can, **known)
        raise InputError(f"there is nothing at {request.path}", kind="does_not_exist")

    def _posted(self, request: Request, session: Session, token: Token, *, parts: list[str], key: str) -> bytes:
        form = {name: values[0] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        if not secrets.compare_digest(form.get("proof", "").encode(), session.proof.encode()):
            raise InputError("this form is not of this session: go back and load the page again", kind="forbidden")
        match parts:
            case ["logout"]:
                with self._lock:
                    self._sessions.pop(key, None)
                return _goto("/login")
            case ["streams", name, version, action]:
                chosen, reason = actions.require(action), form.get("reason", "")
                self._steering.carry_out(chosen, stream=name, version=version, reason=reason, token=token)
                return _goto(f"/streams/{quote(name, safe='')}")
        raise InputError("nothing is posted there", kind="does_not_exist")

    def _stream(self, name: str, basearch: str, session: Session, token: Token) -> bytes:
        view, held = self._views.stream(name), self._views.held(name)
        picture, older = Markup(), 0
        chosen = basearch or next(iter(view["architectures"]), "")
        if any(one["phase"] != "draft" and chosen in one["architectures"] for one in view["releases"]):
            graph = self._views.plan(name, chosen).graph
            running = {one["version"]: one["nodes"]["running"] for one in view["releases"]}
            title = f"Ways between the releases of {name} for {chosen}; the table below says the same"
            picture = Markup(drawing.draw(graph, running=running, title=title))  # noqa: S704 - escaped where it is made
            older = drawing.left_out(graph)
        can = {
            one["version"]: actions.possible(held, one["version"], role=token.role, now=self._views.now)
            for one in view["releases"]
            if one["phase"] == "published"
        }
        return self._html(
            "stream.html",
            view=view,
            picture=picture,
            older=older,
            basearch=chosen,
            can=can,
            failures=self._views.failures(name, limit=25),
            session=session,
            token=token,
        )

    def _login(self, request: Request) -> bytes:
        form = parse_qs(request.body.decode("utf-8", "replace"))
        token = self._tokens.find(form.get("token", [""])[0].strip())
        if token is None:
            return self._html("login.html", status=403, problem="This token is not known here.")
        key, now = secrets.token_urlsafe(32), self._clock.monotonic()
        with self._lock:
            alive = {one: session for one, session in self._sessions.items() if session.ends > now}
            while len(alive) >= _MOST_SESSIONS:
                alive.pop(next(iter(alive)))
            self._sessions = {**alive, key: Session(name=token.name, ends=now + _SESSION_SECONDS)}
        cookie = f"{_COOKIE}={key}; Path=/; HttpOnly; SameSite=Strict; Max-Age={_SESSION_SECONDS}"
        secure = "; Secure" if request.field("x-forwarded-proto") == "https" else ""
        return _goto("/", more=f"Set-Cookie: {cookie}{secure}\r\n")

    def _session(self, key: str) -> tuple[Session | None, Token | None]:
        with self._lock:
            session = self._sessions.get(key)
        if session is None or session.ends <= self._clock.monotonic():
            return None, None
        return session, self._tokens.by_name(session.name)

    def _html(self, name: str, *, status: int = 200, **values: object) -> bytes:
        text = self._templates.get_template(name).render({"session": None, "token": None, **values})
        return response(status, text.encode(), content_type="text/html; charset=utf-8", more=_SAFE)


def _cookie(request: Request) -> str:
    for pair in request.field("cookie").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == _COOKIE:
            return value
    return ""


def _goto(place: str, *, more: str = "") -> bytes:
    return response(303, b"", content_type="text/plain", more=f"Location: {place}\r\nCache-Control: no-store\r\n{more}")
