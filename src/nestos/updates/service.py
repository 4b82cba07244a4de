"""The update server: ``/v1/graph`` from answers made ahead, and beside it metrics and health on a status address.

With a ``Management`` it also takes reports, guards rollouts by them, and answers operators on an address of their own.

One event loop on one core, standard library only. Metadata are looked at every few seconds and swapped in whole; as
long as new ones cannot be used, the old ones are served and the status says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nestos.base.clock import Clock
from nestos.base.errors import NestosError, StateError
from nestos.base.notify import Notifier
from nestos.updates import counting, source
from nestos.updates.answers import Answer, Answers, refusal
from nestos.updates.counting import Requests, Series
from nestos.updates.fleet import Fleet
from nestos.updates.graph import Query
from nestos.updates.guardian import Guardian
from nestos.updates.http import Listener, Request, response
from nestos.updates.query import parse
from nestos.updates.reports import PATH as REPORTS
from nestos.updates.reports import ReportHandler
from nestos.updates.source import Stamp
from nestos.wire import report

logger = logging.getLogger(__name__)

_GRAPH = "/v1/graph"
_SWEEP_SECONDS = 5.0
_GUARD_SECONDS = 5.0
_GUARD_PAUSE_SECONDS = 0.5
"""Failures come in crowds: between two looks, however many."""
_TIDY_SECONDS = 5.0
_OPEN = "Access-Control-Allow-Origin: *\r\n"
_GZIP = "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the server runs."""

    folder: Path
    """A release folder, or a folder in its published layout."""
    address: str = "0.0.0.0"  # noqa: S104 - nodes are elsewhere
    port: int = 8080
    status_address: str = "127.0.0.1"
    status_port: int = 9080
    refresh_seconds: float = 10.0
    """Between two looks at the folder; the original's is 30."""
    idle_seconds: float = 75.0
    """A connection that is silent for so long is closed."""


@dataclass(frozen=True, kw_only=True)
class Management:
    """What a server has that takes reports, guards rollouts and is talked to by operators."""

    fleet: Fleet
    guardian: Guardian
    listener: Listener
    """Answers operators."""
    address: str = "127.0.0.1"
    port: int = 9081


class State:
    """What is served now. Loading may fail; then it stays as it was."""

    def __init__(
        self, folder: Path, *, clock: Clock, withheld: Callable[[], Mapping[tuple[str, str], str]] | None = None
    ) -> None:
        self._folder, self._clock, self._withheld = folder, clock, withheld or dict
        self._stamp: tuple[Stamp, Mapping[tuple[str, str], str]] | None = None
        self.answers = Answers({})
        self.is_loaded = False
        self.loads = self.failures = 0
        self.loaded_seconds = 0.0
        self.problem = ""

    def refresh(self) -> bool:
        """Loads the folder if it changed; true if other answers are served from now on. Raises nothing of ours."""
        try:
            withheld = self._withheld()
            stamp = source.stamp(self._folder), withheld
            if self.is_loaded and stamp == self._stamp:
                self.problem = ""
                return False
            answers = source.load(self._folder, withheld=withheld)
        except (NestosError, OSError) as error:
            self.failures += 1
            if self.problem != str(error):
                logger.warning("the metadata are not usable, the old ones are served: %s", error)
            self.problem = str(error)
            return False
        answers.advance(int(self._clock.now().timestamp()))
        # One assignment: a request sees the old answers or the new ones.
        self.answers, self._stamp, self.problem, self.is_loaded = answers, stamp, "", True
        self.loads += 1
        self.loaded_seconds = self._clock.now().timestamp()
        return True


class GraphHandler:
    """Answers nodes: their questions, and their reports where ``reports`` takes them."""

    def __init__(
        self, state: State, requests: Requests, *, clock: Clock, reports: Callable[[Request], bytes] | None = None
    ) -> None:
        self._state, self._requests, self._clock, self._reports = state, requests, clock, reports
        self._ready: dict[int, tuple[object, bytes]] = {}

    def __call__(self, request: Request) -> bytes:
        """A whole response."""
        if request.path != _GRAPH:
            if self._reports is not None and request.path == REPORTS:
                return self._reports(request)
            return error_response(404, "does_not_exist", f"there is nothing but {_GRAPH}")
        if not self._state.is_loaded:
            self._requests.count(503)
            return error_response(503, "not_ready", "the release metadata could not be read yet")
        query = parse(request.query)
        if isinstance(query, Answer):
            self._requests.count(query.status)
            return self._response(query, takes_gzip=False)
        answers = self._state.answers
        answers.advance(int(self._clock.now().timestamp()))
        answer = answers.of(query)
        self._count(query, answer)
        return self._response(answer, takes_gzip=request.takes_gzip)

    def _count(self, query: Query, answer: Answer) -> None:
        wariness = query.wariness if answer.status == 200 else None
        self._requests.count(answer.status, node_id=query.node_uuid, wariness=wariness)

    def _response(self, answer: Answer, *, takes_gzip: bool) -> bytes:
        body = answer.body.compressed if takes_gzip else b""
        if body:
            return self._kept(body, more=_OPEN + _GZIP)
        vary = "Vary: Accept-Encoding\r\n" if answer.body.compressed else ""
        if answer.status == 200:
            return self._kept(answer.body.plain, more=_OPEN + vary)
        return response(answer.status, answer.body.plain, more=_OPEN)

    def _kept(self, body: bytes, *, more: str) -> bytes:
        """The response with this very body object, made once."""
        known = self._ready.get(id(body))
        if known is None or known[0] is not body:
            if len(self._ready) > 256:
                self._ready.clear()
            known = self._ready[id(body)] = (body, response(200, body, more=more))
        return known[1]


class StatusHandler:
    """Answers operators: ``/metrics``, ``/health`` (is it serving?), ``/ready`` (and are the metadata usable?)."""

    def __init__(
        self,
        state: State,
        requests: Requests,
        *,
        connections: Callable[[], int],
        reports: ReportHandler | None = None,
        guardian: Guardian | None = None,
    ) -> None:
        self._state, self._requests, self._connections = state, requests, connections
        self._reports, self._guardian = reports, guardian

    def __call__(self, request: Request) -> bytes:
        """A whole response."""
        if request.path == "/metrics":
            text = counting.render([*self._requests.series(), *self._series()]) + self._requests.histogram()
            return response(200, text.encode(), content_type="text/plain; version=0.0.4; charset=utf-8")
        if request.path == "/health":
            return self._health(200 if self._state.is_loaded else 503)
        if request.path == "/ready":
            return self._health(200 if self._state.is_loaded and not self._problem() else 503)
        return error_response(404, "does_not_exist", "there are /metrics, /health and /ready")

    def _problem(self) -> str:
        return self._state.problem or (self._guardian.problem if self._guardian else "")

    def _health(self, status: int) -> bytes:
        state = self._state
        document = {
            "serving": state.is_loaded,
            "problem": self._problem(),
            "streams": sorted({stream for stream, _, _ in state.answers.scopes}),
        }
        return response(status, json.dumps(document).encode())

    def _series(self) -> Iterable[Series]:
        state = self._state
        nodes: list[tuple[dict[str, str], float]] = []
        edges: list[tuple[dict[str, str], float]] = []
        refreshed: list[tuple[dict[str, str], float]] = []
        for (stream, basearch, is_oci), plan in sorted(state.answers.scopes.items()):
            labels = {"basearch": basearch, "stream": stream, "type": "oci" if is_oci else "checksum"}
            nodes.append((labels, len(plan.graph.nodes)))
            edges.append((labels, len(plan.graph.edges)))
            refreshed.append((labels, int(state.loaded_seconds)))
        prefix = "fcos_cincinnati_gb_scraper_graph"
        yield (f"{prefix}_final_releases", "gauge", "Releases in the graph.", nodes)
        yield (f"{prefix}_final_edges", "gauge", "Ways in the graph, before rollouts hide some.", edges)
        yield (f"{prefix}_last_refresh_timestamp", "gauge", "When the metadata were read.", refreshed)
        yield ("nestos_updates_loads_total", "counter", "New metadata taken.", [({}, state.loads)])
        yield ("nestos_updates_load_failures_total", "counter", "Metadata not usable.", [({}, state.failures)])
        yield ("nestos_updates_metadata_stale", "gauge", "1 while old ones are served.", [({}, bool(state.problem))])
        yield ("nestos_updates_connections", "gauge", "Open connections.", [({}, self._connections())])
        if self._reports is not None:
            yield from self._reports.series()
        if self._guardian is not None:
            withheld, has_problem = len(self._guardian.withheld), bool(self._guardian.problem)
            yield ("nestos_updates_withheld", "gauge", "Releases kept back by this server alone.", [({}, withheld)])
            yield ("nestos_updates_guard_problem", "gauge", "1 while rollouts are not guarded.", [({}, has_problem)])


def error_response(status: int, kind: str, value: str) -> bytes:
    """An error in the protocol's form, as a whole response."""
    return response(status, refusal(status, kind, value).body.plain, more=_OPEN)


async def serve(
    settings: Settings,
    *,
    clock: Clock,
    started: Callable[[tuple[str, int]], None],
    management: Management | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT; SIGHUP looks at the folder at once. ``started`` is told address and port.

    Raises ``StateError`` where an address cannot be had or the metadata cannot be read at the start.
    """
    loop = asyncio.get_running_loop()
    notifier = Notifier(os.environ)
    ended, look, alarm = asyncio.Event(), asyncio.Event(), asyncio.Event()
    guardian = management.guardian if management else None
    if guardian is not None:
        guardian.tick()  # before the first answer: what is over its budget is not offered for one moment more
    withheld = (lambda: guardian.withheld) if guardian else None
    state, requests = State(source.public_folder(settings.folder), clock=clock, withheld=withheld), Requests()
    state.refresh()
    if not state.is_loaded:
        raise StateError(f"there is nothing to serve: {state.problem}")
    reports = ReportHandler(management.fleet, alarm=alarm.set) if management else None
    nodes = Listener(
        GraphHandler(state, requests, clock=clock, reports=reports), refuse=_refuse, most_body=_most_reported(reports)
    )
    status = StatusHandler(
        state, requests, connections=lambda: len(nodes.connections), reports=reports, guardian=guardian
    )
    places = [
        (nodes, settings.address, settings.port),
        (Listener(status, refuse=_refuse), settings.status_address, settings.status_port),
    ]
    if management is not None:
        places.append((management.listener, management.address, management.port))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.add_signal_handler(signal.SIGHUP, look.set)
    work = [
        _refresh(state, look, notifier, seconds=settings.refresh_seconds),
        _sweep([listener for listener, _, _ in places], notifier, seconds=settings.idle_seconds),
    ]
    if management is not None:
        work += [_guard(management, alarm=alarm, look=look), _tidy(management)]
    await _run(places, work, notifier, ended=ended, started=started)


async def _run(
    places: Sequence[tuple[Listener, str, int]],
    work: Iterable[Coroutine[None, None, None]],
    notifier: Notifier,
    *,
    ended: asyncio.Event,
    started: Callable[[tuple[str, int]], None],
) -> None:
    """Listens, and works, until the end is asked for. ``started`` is told the first place that was had."""
    servers, tasks = [], [asyncio.create_task(one) for one in work]
    ending = asyncio.create_task(ended.wait())
    try:
        for listener, address, port in places:
            servers.append(await _listen(listener, address, port))
        started(servers[0].sockets[0].getsockname()[:2])
        notifier.tell("READY=1")
        # A task of ours that ended did so by a bug. To go on would be to serve for ever what was withdrawn meanwhile.
        await asyncio.wait([ending, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        notifier.tell("STOPPING=1")
        ending.cancel()
        for task in tasks:
            task.cancel()
        for server in servers:
            server.close()
        for listener, _, _ in places:
            listener.close()


def _most_reported(reports: ReportHandler | None) -> Callable[[str], int]:
    return lambda path: report.MOST_BYTES if reports is not None and path == REPORTS else 0


async def _listen(listener: Listener, address: str, port: int) -> asyncio.Server:
    try:
        return await asyncio.get_running_loop().create_server(listener.protocol, address, port, backlog=1024)
    except OSError as error:
        raise StateError(f"cannot listen on {address}:{port}: {error.strerror}") from error


async def _refresh(state: State, look: asyncio.Event, notifier: Notifier, *, seconds: float) -> None:
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(look.wait(), timeout=seconds)
        look.clear()
        await asyncio.to_thread(state.refresh)
        streams = len({stream for stream, _, _ in state.answers.scopes})
        notifier.tell(f"STATUS={state.problem or f'serving {streams} streams'}")


async def _guard(management: Management, *, alarm: asyncio.Event, look: asyncio.Event) -> None:
    """Looks at the budgets every few seconds, and soon after a node failed."""
    guardian = management.guardian
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(alarm.wait(), timeout=_GUARD_SECONDS)
        alarm.clear()
        before = guardian.withheld
        made = await asyncio.to_thread(guardian.tick)
        if made or guardian.withheld != before:
            look.set()
        await asyncio.sleep(_GUARD_PAUSE_SECONDS)


async def _tidy(management: Management) -> None:
    """Brings reports to the disk, and forgets nodes that are gone."""
    while True:
        try:
            await asyncio.to_thread(management.fleet.flush)
            management.fleet.forget()
        except StateError as error:
            logger.warning("the reports are not kept as they should be: %s", error)
        await asyncio.sleep(_TIDY_SECONDS)


async def _sweep(listeners: Iterable[Listener], notifier: Notifier, *, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        notifier.tell("WATCHDOG=1")
        for listener in listeners:
            listener.close_idle(now=loop.time(), after_seconds=seconds)


def _refuse(status: int, sentence: str) -> bytes:
    return response(
        status, refusal(status, "invalid_request", sentence).body.plain, more=f"{_OPEN}Connection: close\r\n"
    )
