"""Telling the update server what became of a release here (``updates.report.enabled``); the message is
``nestos.wire.report``.

A report is made and signed when the event is accounted for, and kept in the agent's memory until the server has taken
it or never will. The node's secret is made at the first report and never leaves the agent's folder but once.
"""

from __future__ import annotations

import logging
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Protocol

from nestos.agent import identity
from nestos.agent.http import Answer, Asker, Question
from nestos.agent.identity import Identity
from nestos.base import durable, reading
from nestos.base.errors import InputError, NetworkError
from nestos.wire import graph, report
from nestos.wire.report import Envelope, Outcome, Report

logger = logging.getLogger(__name__)

KEY_FILE = "report.key"
_SECRET_BYTES = 32
_SECONDS = 30.0
_ANSWER_BYTES = 16 * 1024
_TRY_AGAIN = 429


class Reports(Protocol):
    """What the engine asks; ``Reporter`` is the real one."""

    def sealed(self, *, before: str, after: str, outcome: Outcome, reason: str, time: datetime) -> Envelope:
        """A signed report. Raises ``OSError`` where the secret cannot be kept."""

    def send(self, envelope: Envelope) -> None:
        """Until this returns, it is to be sent again. Raises ``NetworkError``."""


class Reporter:
    """Reports to the update server at ``base_url``; the secret is in the file ``key``."""

    def __init__(self, base_url: str, *, who: Identity, key: Path, ask: Asker) -> None:
        self._url = identity.address(identity.filled_in(base_url, who), report.PATH)
        self._who = who
        self._key = key
        self._ask = ask

    def sealed(self, *, before: str, after: str, outcome: Outcome, reason: str, time: datetime) -> Envelope:
        who = self._who
        made = Report(
            node=who.node_uuid,
            group=who.group,
            basearch=who.basearch,
            stream=who.stream,
            before=before,
            after=after,
            outcome=outcome,
            reason=reason,
            time=time,
        )
        return report.sealed(made, secret=self._secret())

    def send(self, envelope: Envelope) -> None:
        answer = self._post(envelope)
        if _kind(answer) == report.UNKNOWN_NODE:
            answer = self._post(Envelope(text=envelope.text, signature=envelope.signature, secret=self._secret()))
        if answer.status == _TRY_AGAIN or answer.status >= 500:
            raise NetworkError(f"the update server takes no report now: status {answer.status}")
        if not answer.is_success:
            logger.warning("the update server refuses a report: status %s %s", answer.status, _kind(answer))

    def _post(self, envelope: Envelope) -> Answer:
        return self._ask(
            Question(
                url=self._url,
                method="POST",
                headers={"Content-Type": "application/json"},
                body=report.render(envelope),
                total_seconds=_SECONDS,
                most_bytes=_ANSWER_BYTES,
            )
        )

    def _secret(self) -> str:
        try:
            found = reading.regular(self._key, most_bytes=2 * _SECRET_BYTES + 1).decode().strip()
            if re.fullmatch(r"[0-9a-f]{64}", found):
                return found
        except (OSError, UnicodeDecodeError):
            pass
        made = os.urandom(_SECRET_BYTES).hex()
        self._key.parent.mkdir(parents=True, exist_ok=True)
        durable.write_text(self._key, f"{made}\n", mode=0o600)
        return made


def _kind(answer: Answer) -> str:
    """The word of a refusal; empty where there is none."""
    if answer.is_success:
        return ""
    try:
        return graph.parse_refusal(answer.body, source="the update server").kind
    except InputError:
        return ""
