"""The two servers that the agent asks: for the update graph, and for leave to restart."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlencode

from nestos.agent import identity
from nestos.agent.http import Asker, Question
from nestos.agent.identity import Identity
from nestos.base.errors import InputError, NestosError, NetworkError
from nestos.wire import fleetlock, graph
from nestos.wire.fleetlock import Api, Refusal
from nestos.wire.graph import Graph

_GRAPH_SECONDS = 90.0
_LOCK_SECONDS = 30.0


class Updates(Protocol):
    """Where releases are offered; ``Cincinnati`` below is the real one."""

    def graph(self, *, version: str, payload: str) -> Graph:
        """What the server shows to a node that runs this. Raises ``NetworkError`` and ``InputError``."""


class Locks(Protocol):
    """Who lends restart slots; ``FleetLock`` below is the real one."""

    def ask(self, api: Api) -> Refusal | None:
        """Takes a slot or gives it back; why not. Raises ``NetworkError`` where nobody knows."""


class Cincinnati:
    """The update server at ``base_url``, with the protocol and the parameters of zincati."""

    def __init__(self, base_url: str, *, who: Identity, ask: Asker) -> None:
        self._url = identity.address(identity.filled_in(base_url, who), "v1/graph")
        self._who = who
        self._ask = ask

    def graph(self, *, version: str, payload: str) -> Graph:
        """The graph. Errors have the kinds of zincati's metrics."""
        question = Question(
            url=f"{self._url}?{urlencode(self._parameters(version, payload))}",
            headers={"Accept": "application/json"},
            total_seconds=_GRAPH_SECONDS,
        )
        try:
            answer = self._ask(question)
        except NetworkError as error:
            raise NetworkError(f"the update server gives no answer: {error}", kind="client_failed_request") from error
        if not answer.is_success:
            raise _refused(answer.status, answer.body)
        try:
            return graph.parse(answer.body, source=self._url)
        except InputError as error:
            raise InputError(str(error), kind="client_failed_json_decoding") from error

    def _parameters(self, version: str, payload: str) -> dict[str, str]:
        who = self._who
        found = {
            "basearch": who.basearch,
            "stream": who.stream,
            "os_version": version,
            "os_checksum": payload,
            "group": who.group,
            "node_uuid": who.node_uuid,
            "platform": who.platform,
        }
        if who.wariness is not None:
            found["rollout_wariness"] = f"{who.wariness:.6f}"
        return found


def _refused(status: int, body: bytes) -> NestosError:
    try:
        refusal = graph.parse_refusal(body, source="the update server")
    except InputError:
        sentence = f"the update server answers with status {status}"
        return NetworkError(sentence, kind=f"generic_http_{status}")
    return NetworkError(f"the update server answers with status {status}: {refusal.value}", kind=refusal.kind)


class FleetLock:
    """The lock server at ``base_url``."""

    def __init__(self, base_url: str, *, who: Identity, ask: Asker) -> None:
        self._base = identity.filled_in(base_url, who)
        self._client = fleetlock.Client(id=who.node_uuid, group=who.group)
        self._ask = ask

    def ask(self, api: Api) -> Refusal | None:
        """Takes a slot or gives it back."""
        question = Question(
            url=identity.address(self._base, api.path),
            method="POST",
            headers={fleetlock.HEADER: fleetlock.HEADER_VALUE, "Content-Type": "application/json"},
            body=fleetlock.render_request(self._client),
            total_seconds=_LOCK_SECONDS,
            most_bytes=fleetlock.MOST_BYTES,
        )
        try:
            answer = self._ask(question)
        except NetworkError as error:
            sentence = f"the lock server gives no answer: {error}"
            raise NetworkError(sentence, kind="client_failed_request") from error
        return None if answer.is_success else fleetlock.parse_refusal(answer.status, answer.body)
