"""The admin API: JSON over bearer tokens. Every change is one transaction of the release folder, in the name of one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

from nestos.base.errors import BusyError, InputError, NestosError, StateError
from nestos.updates.admin import actions, openapi
from nestos.updates.admin.actions import Action
from nestos.updates.admin.tokens import Token, Tokens
from nestos.updates.admin.views import Views
from nestos.updates.answers import refusal
from nestos.updates.folder import Change, Seal
from nestos.updates.http import Request, response
from nestos.wire import graph as wire

MOST_BODY = 16 << 10
_LONGEST_REASON = 1000


@dataclass(frozen=True, kw_only=True)
class Steering:
    """What changes releases in somebody's name."""

    views: Views
    seal: Seal
    changed: Callable[[], None]
    """Called after a change, so that it is served at once."""

    def carry_out(self, action: Action, *, stream: str, version: str, reason: str, token: Token) -> None:
        """Does it. Raises what the model raises, ``InputError`` of kind ``forbidden`` where the role is not enough."""
        if token.role < action.role:
            raise InputError(f"this needs a token of the role {action.role.name.lower()}", kind="forbidden")
        if action.needs_reason and not reason.strip():
            raise InputError("a reason is needed: operators of nodes that have the release will ask")
        self.views.held(stream).require(version)
        said = "".join(letter if letter.isprintable() else " " for letter in reason.strip()[:_LONGEST_REASON])
        change = Change(who=f"token:{token.name}", action=action.name, subject=f"{stream} {version}", reason=said)
        now = self.views.now
        self.views.folder.change(
            change, seal=self.seal, name=stream, edit=lambda held: action.edit(held, version, said, now)
        )
        self.changed()


class Api:
    """Answers programs. May block: it reads files and signs."""

    def __init__(self, steering: Steering, tokens: Tokens) -> None:
        self._steering, self._views, self._tokens = steering, steering.views, tokens

    def __call__(self, request: Request) -> bytes:
        """A whole response."""
        if request.path == "/openapi.json":
            return _json(200, openapi.document())
        scheme, _, secret = request.field("authorization").partition(" ")
        token = self._tokens.find(secret.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            more = "WWW-Authenticate: Bearer\r\n"
            return response(401, refusal(401, "no_token", "a known token is needed").body.plain, more=more)
        try:
            return self._answer(request, token)
        except NestosError as error:
            return response(status_of(error), refusal(0, error.kind, str(error)).body.plain)

    def _answer(self, request: Request, token: Token) -> bytes:
        parts = [unquote(part) for part in request.path.split("/")[2:]]
        asked = {name: values[0] for name, values in parse_qs(request.query).items()}
        if request.method == "POST":
            return self._act(parts, request.body, token)
        match parts:
            case ["streams"]:
                return _json(200, self._views.streams())
            case ["streams", name]:
                return _json(200, self._views.stream(name))
            case ["streams", name, "graph"]:
                return response(200, wire.render(self._views.plan(name, asked.get("basearch", "")).graph))
            case ["streams", name, "failures"]:
                version, limit = asked.get("version", ""), _limit(asked)
                return _json(200, self._views.failures(name, version=version, limit=limit))
            case ["audit"]:
                return _json(200, self._views.audit(limit=_limit(asked)))
        raise InputError(f"there is nothing at {request.path}", kind="does_not_exist")

    def _act(self, parts: list[str], body: bytes, token: Token) -> bytes:
        match parts:
            case ["streams", name, "releases", version, action]:
                chosen = actions.require(action)
                self._steering.carry_out(chosen, stream=name, version=version, reason=_reason(body), token=token)
                found = [one for one in self._views.stream(name)["releases"] if one["version"] == version]
                return _json(200, found[0] if found else {})
        raise InputError("nothing is posted there", kind="does_not_exist")


def status_of(error: NestosError) -> int:
    """The HTTP status of an error of ours."""
    named = {"forbidden": 403, "does_not_exist": 404}
    if error.kind in named:
        return named[error.kind]
    if isinstance(error, InputError):
        return 400
    return 503 if isinstance(error, BusyError) else 409 if isinstance(error, StateError) else 500


def _reason(body: bytes) -> str:
    if not body:
        return ""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the body is not JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("reason", ""), str):
        raise InputError('the body is an object with the text "reason"')
    unknown = sorted(document.keys() - {"reason"})
    if unknown:
        raise InputError(f"unknown: {', '.join(unknown)}")
    return str(document.get("reason", ""))


def _limit(asked: dict[str, str]) -> int:
    text = asked.get("limit", "100")
    if not text.isdigit() or not 1 <= int(text) <= 1000:
        raise InputError("limit is a number from 1 to 1000")
    return int(text)


def _json(status: int, value: object) -> bytes:
    return response(status, json.dumps(value, indent=1).encode() + b"\n")
