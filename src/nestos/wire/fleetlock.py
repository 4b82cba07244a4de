"""FleetLock, version 1: how a node asks for leave to restart, and gives it back.

``POST <base>/v1/pre-reboot`` takes a slot of the node's group, ``POST <base>/v1/steady-state`` gives it back; both
may be repeated. Success is any 2xx, its body means nothing; a refusal is JSON with ``kind`` (for programs and metrics)
and ``value`` (a sentence). From coreos/zincati, docs/development/fleetlock/protocol.md.

A server of ours adds members to a refusal that others ignore: ``holders`` and ``retry_after_seconds``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nestos.base.errors import InputError
from nestos.wire import texts

HEADER = "fleet-lock-protocol"
HEADER_VALUE = "true"
MOST_BYTES = 64 * 1024
"""No message of the protocol is longer; who reads one stops there."""

_GROUP = re.compile(r"[a-zA-Z0-9.-]+")
_LONGEST_NAME = 256
_MOST_HOLDERS = 50


class Api(StrEnum):
    """The two questions; the value is the last part of the address and the label in metrics."""

    PRE_REBOOT = "pre-reboot"
    STEADY_STATE = "steady-state"

    @property
    def path(self) -> str:
        """Relative to the base URL."""
        return f"v1/{self}"


@dataclass(frozen=True, kw_only=True)
class Client:
    """Who asks. ``id``: case-sensitive, of the node's choice. ``group``: letters, digits, dots and hyphens."""

    id: str
    group: str


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why not. ``holders``: who has the slots, where the server tells. ``retry_after_seconds``: 0 is not told."""

    kind: str
    value: str
    holders: tuple[str, ...] = ()
    retry_after_seconds: int = 0


def is_group(text: str) -> bool:
    """True if a group may be called that."""
    return len(text) <= _LONGEST_NAME and _GROUP.fullmatch(text) is not None


def render_request(client: Client) -> bytes:
    """The body of either question."""
    return json.dumps({"client_params": {"id": client.id, "group": client.group}}).encode()


def parse_request(body: bytes) -> Client:
    """Who asks. Raises ``InputError`` of kind ``invalid_client_identity`` for anything else than the protocol has."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _wrong("the body is no JSON") from error
    parameters = document.get("client_params") if isinstance(document, dict) else None
    if not isinstance(parameters, dict):
        raise _wrong('the body has no object "client_params"')
    for name in ("id", "group"):
        value = parameters.get(name)
        if not isinstance(value, str) or not value:
            raise _wrong(f'"client_params" has no "{name}"')
        if len(value) > _LONGEST_NAME or not value.isprintable():
            raise _wrong(f'"{name}" is longer than {_LONGEST_NAME} characters or not printable')
    if not is_group(parameters["group"]):
        raise _wrong('"group" holds more than letters, digits, dots and hyphens')
    return Client(id=parameters["id"], group=parameters["group"])


def render_refusal(refusal: Refusal) -> bytes:
    """The body of an answer that is no success."""
    document: dict[str, Any] = {"kind": refusal.kind, "value": refusal.value}
    if refusal.holders:
        document["holders"] = list(refusal.holders)
    if refusal.retry_after_seconds:
        document["retry_after_seconds"] = refusal.retry_after_seconds
    return json.dumps(document).encode() + b"\n"


def parse_refusal(status: int, body: bytes) -> Refusal:
    """Why a server refused; of one that does not speak the protocol, its status says it."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, Mapping) or not isinstance(document.get("kind"), str):
        return Refusal(kind=f"generic_http_{status}", value=f"the lock server answered with status {status}")
    holders = document.get("holders")
    retry = document.get("retry_after_seconds")
    return Refusal(
        kind=texts.word(document["kind"]),
        value=texts.shown(str(document.get("value", ""))),
        holders=tuple(texts.shown(str(item)) for item in holders[:_MOST_HOLDERS]) if isinstance(holders, list) else (),
        retry_after_seconds=retry if isinstance(retry, int) and retry > 0 else 0,
    )


def _wrong(sentence: str) -> InputError:
    return InputError(sentence, kind="invalid_client_identity")
