"""What a node tells the update server about a release that it took: the message of ``POST <base>/v1/report``. Pure.

The body is one JSON object, the envelope::

    {"report": "<the report, as JSON text>", "signature": "<64 hexadecimal digits>", "secret": "<64, at first only>"}

``signature`` is HMAC-SHA256 (RFC 2104) over the UTF-8 bytes of the text ``report``, with the node's secret. The report
travels as text, so that what is signed needs no canonical form and may grow. The report::

    {"schema": 1, "node": "<32 hexadecimal digits>", "group": "workers", "basearch": "x86_64", "stream": "stable",
     "from": "13.20261120.0", "to": "13.20261123.0", "outcome": "rolled-back", "reason": "...",
     "time": "2026-11-23T03:04:05Z"}

**Trust on first use.** A node sends no secret, until the server answers 401 ``unknown_node``; then the same report with
it, once. The server keeps the first secret it gets for a node and takes nothing else in that node's name, until an
operator forgets the node. So nobody speaks for a node that has spoken; it does not keep anybody from inventing nodes.

*Why a shared secret:* the standard library has no asymmetric signature. A server that can read the secret could
forge what only itself believes. One-time signatures of hashes need no secret at the server, but keys that must never
be used twice, across crashes and lost answers. *Cost:* the secret crosses the network once, so the address should be
https.

Answers, errors with the JSON ``kind`` and ``value`` of the graph's: any 2xx, taken (the same envelope again is taken
and counted once); 400 ``invalid_report``; 401 ``unknown_node``; 403 ``wrong_signature``; 404, the server takes no
reports. A node says a report again after no answer, 429 and 5xx, and gives it up after any other.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from nestos.base.errors import InputError, VerificationError
from nestos.base.report import Report as Findings
from nestos.wire import fields
from nestos.wire.fields import Fields

PATH = "v1/report"
MOST_BYTES = 16 * 1024
"""No envelope is longer; who reads one stops there."""
UNKNOWN_NODE = "unknown_node"
WRONG_SIGNATURE = "wrong_signature"
INVALID_REPORT = "invalid_report"

_SCHEMA = 1
_MOST_REASON = 1000
_MOST_NAME = 256
_NODE = re.compile(r"[0-9a-f]{32}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)
_KEY = re.compile(r"[0-9a-f]{64}")


class Outcome(StrEnum):
    """What became of a release on a node."""

    UPDATED = "updated"
    """It runs and its boot was judged healthy."""
    FAILED = "failed"
    """It could not be put into its slot, time and again; it was never run."""
    ROLLED_BACK = "rolled-back"
    """The node restarted into it, and what ran before runs again."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """``node``: the application's own id of the machine, as in the graph's questions. ``before`` and ``after``: the
    versions, ``from`` and ``to`` in JSON. ``reason``: a sentence, empty for an update. ``time``: when it was seen."""

    node: str
    group: str
    basearch: str
    stream: str
    before: str
    after: str
    outcome: Outcome
    reason: str
    time: datetime


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """A report's text with its signature. ``secret``: hexadecimal digits, empty where the server is to know it."""

    text: str
    signature: str
    secret: str = ""


def sealed(report: Report, *, secret: str) -> Envelope:
    """``report`` signed with ``secret`` (64 hexadecimal digits), which is not in the envelope."""
    document = {
        "schema": _SCHEMA,
        "node": report.node,
        "group": report.group,
        "basearch": report.basearch,
        "stream": report.stream,
        "from": report.before,
        "to": report.after,
        "outcome": str(report.outcome),
        "reason": report.reason[:_MOST_REASON],
        "time": f"{report.time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }
    text = json.dumps(document, separators=(",", ":"))
    return Envelope(text=text, signature=_signature(text, secret))


def render(envelope: Envelope) -> bytes:
    """The body of the question."""
    document = {"report": envelope.text, "signature": envelope.signature}
    if envelope.secret:
        document["secret"] = envelope.secret
    return json.dumps(document).encode()


def parse(body: bytes) -> Envelope:
    """Reads a body. Raises ``InputError`` of kind ``invalid_report``; what the report says is not looked at."""
    if len(body) > MOST_BYTES:
        raise InputError(f"a report has at most {MOST_BYTES} bytes", kind=INVALID_REPORT)
    top, findings = _document(body)
    envelope = Envelope(text=top.text("report"), signature=top.text("signature"), secret=top.text("secret", default=""))
    for name, value in (("signature", envelope.signature), ("secret", envelope.secret)):
        if (value or name == "signature") and not _KEY.fullmatch(value):
            top.error("must be 64 hexadecimal digits", name)
    if not envelope.text.isascii():
        top.error("must be ASCII: JSON has escapes for the rest", "report")
    _require(findings)
    return envelope


def opened(envelope: Envelope) -> Report:
    """The report, whoever signed it: a server looks up the secret by its ``node``, then asks ``verify``.

    Raises ``InputError`` of kind ``invalid_report``.
    """
    top, findings = _document(envelope.text)
    if top.unsigned("schema") != _SCHEMA:
        top.error(f"must be {_SCHEMA}", "schema")
    if not _NODE.fullmatch(top.text("node")):
        top.error("must be 32 hexadecimal digits", "node")
    names = {name: _name(top, name) for name in ("node", "group", "basearch", "stream", "from", "to")}
    outcome, reason, time = top.text("outcome"), top.text("reason", default=""), top.text("time")
    if outcome not in list(Outcome):
        top.error(f"must be one of {', '.join(Outcome)}", "outcome")
    moment = _moment(time)
    if moment is None:
        top.error("must be a time such as 2026-11-23T03:04:05Z", "time")
    _require(findings)
    return Report(
        node=names["node"],
        group=names["group"],
        basearch=names["basearch"],
        stream=names["stream"],
        before=names["from"],
        after=names["to"],
        outcome=Outcome(outcome),
        reason="".join(letter if letter.isprintable() else " " for letter in reason[:_MOST_REASON]),
        time=moment or datetime.fromtimestamp(0, tz=UTC),
    )


def verify(envelope: Envelope, *, secret: str) -> None:
    """Raises ``VerificationError`` of kind ``wrong_signature`` unless ``secret`` made the signature."""
    if not hmac.compare_digest(_signature(envelope.text, secret), envelope.signature):
        raise VerificationError("the report is not signed with this node's secret", kind=WRONG_SIGNATURE)


def _signature(text: str, secret: str) -> str:
    return hmac.new(bytes.fromhex(secret), text.encode(), hashlib.sha256).hexdigest()


def _document(text: str | bytes) -> tuple[Fields, Findings]:
    try:
        value, findings = fields.document(text, source="the report")
    except InputError as error:
        raise InputError(str(error), kind=INVALID_REPORT) from error
    return Fields(value, findings), findings


def _require(findings: Findings) -> None:
    try:
        fields.require(findings, source="the report")
    except InputError as error:
        raise InputError(str(error), kind=INVALID_REPORT) from error


def _name(top: Fields, name: str) -> str:
    value = top.text(name)
    if not value or len(value) > _MOST_NAME or not value.isprintable():
        top.error(f"must be 1 to {_MOST_NAME} printable characters", name)
    return value


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if _TIME.fullmatch(text) else None
    except ValueError:
        return None
