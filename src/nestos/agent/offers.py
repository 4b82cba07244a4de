"""What the update server offers: asking for it, choosing from it, and noticing when an offer ends."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from nestos.agent import choice, waiting
from nestos.agent.choice import Choice, Release, Wishes
from nestos.agent.driver import NodeStatus
from nestos.agent.memory import ABANDONED_SECONDS, Memory
from nestos.agent.metrics import Metrics
from nestos.agent.settings import Settings
from nestos.agent.surroundings import Surroundings, moment
from nestos.agent.waiting import Wait
from nestos.base.errors import NestosError

logger = logging.getLogger(__name__)


class Offers:
    """The update server, as this node sees it."""

    def __init__(self, settings: Settings, around: Surroundings, *, metrics: Metrics) -> None:
        self._settings = settings
        self._around = around
        self._metrics = metrics
        self._choice: Choice | None = None
        self._asked_at: float | None = None

    @property
    def ignored(self) -> Mapping[str, str]:
        """Versions that were offered and are not taken, with the reason."""
        return self._choice.ignored if self._choice else {}

    def ask(self, memory: Memory, node: NodeStatus) -> tuple[Memory, Choice]:
        """Asks the update server. Raises ``NestosError``."""
        count, now = self._metrics, self._around.now()
        count.count("zincati_cincinnati_update_checks_total")
        self._asked_at = self._around.clock.monotonic()
        # What lies farther ahead than it may comes of a clock that was wrong then.
        ends = now + ABANDONED_SECONDS
        left_alone = {payload: item for payload, item in memory.abandoned.items() if now < item.until <= ends}
        reasons = {payload: f"it is left alone: {item.reason}" for payload, item in left_alone.items()}
        wishes = Wishes(
            denied={**reasons, **node.denied},
            deny=self._settings.deny,
            pin=self._settings.pin,
            allow_downgrade=self._settings.allow_downgrade,
        )
        try:
            graph = self._around.updates.graph(version=node.version, payload=node.commit)
            found = choice.choose(graph, booted=node.commit, wishes=wishes)
        except NestosError as error:
            count.count("zincati_cincinnati_update_checks_errors_total", kind=error.kind)
            raise
        now = self._around.now()
        count.set("zincati_cincinnati_graph_nodes_count", len(graph.nodes))
        count.set("zincati_cincinnati_graph_edges_count", len(graph.edges))
        count.set("zincati_cincinnati_ignored_update_targets", len(found.ignored))
        count.set("zincati_cincinnati_booted_release_is_deadend", bool(found.deadend))
        # A release that is left out for a while, as in a rollout that pauses, goes on soaking.
        shown = {item.payload for item in graph.nodes}
        known = {payload: then for payload, then in memory.seen.items() if payload in shown and then <= now}
        seen = known | {item.payload: known.get(item.payload, now) for item in found.releases}
        verdict = found.sentence or f"{found.releases[0].version} may be taken"
        self._choice = found
        memory = replace(
            memory, seen=seen, last_check=now, verdict=verdict, deadend=found.deadend, abandoned=left_alone
        )
        return memory, found

    def pick(self, memory: Memory, found: Choice) -> Release | None:
        """The youngest release that nothing holds back, else the youngest: it is the one to explain."""
        ready = (release for release in found.releases if not self.before_staging(memory, release))
        return next(ready, found.releases[0] if found.releases else None)

    def is_due(self, memory: Memory) -> bool:
        """Whether it is time to ask again although a release is at hand: there may be another, or it may be gone."""
        orders = self._around.orders.read()
        if orders.check is not None and orders.check.timestamp() > memory.last_check:
            return True
        if self._asked_at is None:
            return True
        return self._around.clock.monotonic() - self._asked_at >= self._settings.steady_interval_seconds

    def forget(self) -> None:
        """What was answered could not be acted upon: the next step asks again."""
        self._asked_at = None

    def before_staging(self, memory: Memory, release: Release) -> tuple[Wait, ...]:
        """Why ``release`` is not taken yet."""
        now = self._around.now()
        return waiting.before_staging(
            self._settings,
            self._around.orders_for(memory),
            release=release,
            seen=moment(memory.seen.get(release.payload, now)),
            now=moment(now),
        )
