"""Carries the agent's table out: one step at a time, each ending with a durable memory.

A step does what the state asks for (``_look``, ``_report``, ...), looks the event up in the table, does the action, and
writes the new memory; only then is the next step taken. What has an effect outside is either asked for again after a
crash (the lock, the restart) or goes on by itself (the transaction). If the memory cannot be written, the step has not
happened: above all, no restart is asked for that is not on the disk.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from nestos.agent import choice, machine, waiting
from nestos.agent.choice import Choice, Release, Wishes
from nestos.agent.driver import Driver, NodeStatus
from nestos.agent.machine import Action, Event, State
from nestos.agent.memory import Abandoned, Memory, MemoryFile
from nestos.agent.metrics import Metrics
from nestos.agent.orders import OrderBook, Orders
from nestos.agent.people import People
from nestos.agent.servers import Locks, Updates
from nestos.agent.settings import Settings
from nestos.agent.waiting import Kind, Wait
from nestos.base.clock import Clock
from nestos.base.errors import NestosError
from nestos.wire.fleetlock import Api, Refusal

logger = logging.getLogger(__name__)

_LOCK_FIRST_SECONDS, _LOCK_MOST_SECONDS = 60.0, 600.0
_LOCK_POLL_SECONDS = 300.0
_CHECK_MOST_SECONDS = 3600.0
_STAGE_FIRST_SECONDS, _STAGE_MOST_SECONDS = 300.0, 6 * 3600.0
_STAGE_FAILURES_AT_MOST = 12
_STAGE_POLL_SECONDS = 5.0
_RESTART_AGAIN_SECONDS = 300.0
_RESTARTS_AT_MOST = 3
_ABANDONED_SECONDS = 86400.0
_REST_SECONDS = 10800.0
_TROUBLE_SECONDS = 60.0
_MOMENT_SECONDS = 0.01
_FIRST_STATES = (State.START, State.UNREPORTED, State.IDLE)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """All that the engine touches. ``marker``: the marker file's text, none where it does not count."""

    driver: Driver
    updates: Updates
    locks: Locks | None
    people: People
    orders: OrderBook
    file: MemoryFile
    marker: Callable[[], str | None]
    clock: Clock
    chance: random.Random
    boot_id: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """What came of a step: the event, what it learned, and when to take the next one (none: by the state)."""

    event: Event
    memory: Memory
    waits: tuple[Wait, ...] = ()
    release: Release | None = None
    problem: str = ""
    delay_seconds: float | None = None


class Engine:
    """The agent, without its sockets. ``memory`` and ``waits`` are what ``explain`` tells from."""

    def __init__(self, settings: Settings, around: Surroundings, *, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.waits: tuple[Wait, ...] = ()
        self.memory = replace(around.file.read(), state=State.START)
        self.node: NodeStatus | None = None
        self._around = around
        self._choice: Choice | None = None
        self._asked_at: float | None = None
        self._begun = 0
        self._restart_asked = False
        self._steps: Mapping[State, Callable[[Memory], Found]] = {
            State.START: self._look,
            State.UNREPORTED: self._report,
            State.IDLE: self._check,
            State.AVAILABLE: self._prepare,
            State.STAGING: self._stage,
            State.STAGED: self._ask,
            State.LEAVING: self._wait_for_people,
            State.RESTARTING: self._restart,
            State.DISABLED: self._rest,
        }

    @property
    def ignored(self) -> Mapping[str, str]:
        """Versions that the update server offered and this node does not take, with the reason."""
        return self._choice.ignored if self._choice else {}

    # One step

    def step(self) -> float:
        """Takes one step and returns how many seconds to wait before the next."""
        now = self._now()
        self.metrics.set("zincati_update_agent_last_refresh_timestamp", int(now))
        left = self._backing_off(now)
        if left > 0:
            return left
        try:
            found = self._steps[self.memory.state](self.memory)
            rule = machine.after(self.memory.state, found.event)
            after, delay = self._act(rule, found)
            self._keep(after, found.waits)
        except (NestosError, OSError) as error:
            # The step has not happened. It is tried again, and nothing was done that is not on the disk.
            logger.warning("%s: %s", self.memory.state, error)
            self.memory = replace(self.memory, problem=str(error))
            return self._jittered(_TROUBLE_SECONDS)
        return delay

    def _act(self, rule: machine.Rule, found: Found) -> tuple[Memory, float]:
        memory, delay = found.memory, self._delay(rule, found)
        match rule.action:
            case Action.REMEMBER:
                memory = replace(memory, release=found.release, problem="", postponed=0, restarts=0)
            case Action.FORGET:
                self._note("withdrawn", memory.release, found.problem)
                memory = replace(memory, release=None, problem="", postponed=0)
            case Action.COUNT:
                memory, delay = self._counted(rule, memory, found)
            case Action.ABANDON:
                memory = self._abandoned(memory, found.problem)
            case Action.NOTE_STAGED:
                self._note("staged", memory.release, "")
                memory = replace(memory, stage_failures=0, failed="", problem="", failures=0, next_try=0)
            case Action.ACCOUNT:
                memory = self._accounted(memory)
            case Action.GIVE_BACK:
                memory, delay = self._given_up(memory, found)
        if rule.state is State.AVAILABLE and rule.next is State.STAGING:
            memory = replace(memory, attempt=memory.attempt + 1)
        if rule.next is State.RESTARTING:
            restarts = memory.restarts + (rule.state is not State.RESTARTING)
            memory = replace(memory, boot_id=self._around.boot_id, restarts=restarts)
        if rule.next is not rule.state:
            memory = replace(memory, state=rule.next, since=self._now())
            self.metrics.set("zincati_update_agent_latest_state_change_timestamp", int(self._now()))
            logger.info("%s: %s, so: %s", rule.state, found.event, rule.next)
        return memory, delay

    def _keep(self, memory: Memory, waits: tuple[Wait, ...]) -> None:
        now = self._now()
        since = {str(wait.kind): memory.waiting.get(str(wait.kind), now) for wait in waits}
        # After a crash the agent passes these states again, and what it waited for is what it waits for.
        is_on_the_way = self.memory.state in _FIRST_STATES and memory.state is not self.memory.state
        memory = replace(memory, waiting={**memory.waiting, **since} if is_on_the_way else since)
        # When the server answered last is not worth a write every five minutes.
        if replace(memory, last_check=0) != replace(self.memory, last_check=0):
            self._around.file.write(memory)
        self.memory, self.waits = memory, waits
        self.metrics.set_only("nestos_agent_state", "state", [memory.state])
        self.metrics.set_only("nestos_agent_waiting", "kind", since)
        self.metrics.set("nestos_agent_failures", max(memory.failures, memory.stage_failures))
        self.metrics.set("nestos_agent_abandoned_releases", len(memory.abandoned))

    # What each state asks for

    def _look(self, memory: Memory) -> Found:
        self.node = self._around.driver.look()
        if not self.settings.enabled or not self.settings.base_url:
            return Found(event=Event.DISABLED, memory=memory)
        if memory.boot_id and memory.boot_id == self._around.boot_id and memory.release is not None:
            return Found(event=Event.RESTART_BEGUN, memory=memory)
        return Found(event=Event.ENABLED, memory=memory)

    def _report(self, memory: Memory) -> Found:
        if self._around.locks is not None:
            problem = self._lock(Api.STEADY_STATE)
            if problem is not None:
                wait = Wait(
                    kind=Kind.SERVER,
                    what=f"the lock server has to take this node's slot back: {problem.value}",
                    remedy="see that the lock server answers, and updates.fleet_lock.base_url",
                )
                return Found(event=Event.UNREACHABLE, memory=memory, waits=(wait,), problem=problem.value)
        memory = replace(memory, holds_lock=False)
        node = self.node = self._around.driver.look()
        release = memory.release
        if release is not None and node.commit != release.payload:
            if node.pending_commit == release.payload and memory.restarts < _RESTARTS_AT_MOST:
                return Found(event=Event.REPORTED_STAGED, memory=replace(memory, boot_id=""))
            if node.pending_commit == release.payload:
                self._around.driver.drop()
            if not memory.boot_id and self._around.driver.is_staging():
                self._begun = memory.attempt
                return Found(event=Event.REPORTED_BUSY, memory=memory)
        return Found(event=Event.REPORTED, memory=memory)

    def _check(self, memory: Memory) -> Found:
        memory = self._shed_lock(memory)
        try:
            memory, found = self._offers(memory)
        except NestosError as error:
            wait = Wait(
                kind=Kind.SERVER,
                what=f"the update server has to answer: {error}",
                remedy="see that it does, and cincinnati.base_url; then: nestos agent check",
            )
            return Found(event=Event.UNREACHABLE, memory=memory, waits=(wait,), problem=str(error))
        memory = replace(memory, failures=0, next_try=0, problem="")
        release = self._pick(memory, found)
        if release is None:
            return Found(event=Event.NOTHING_NEW, memory=memory)
        return Found(event=Event.OFFERED, memory=memory, release=release)

    def _prepare(self, memory: Memory) -> Found:
        memory = self._shed_lock(memory)
        memory, news = self._news(memory)
        if news is not None:
            return news
        release = _required(memory)
        waits = self._before_staging(memory, release)
        if waits:
            return Found(event=Event.WAIT, memory=memory, waits=waits)
        return Found(event=Event.READY, memory=memory)

    def _stage(self, memory: Memory) -> Found:
        driver, release = self._around.driver, _required(memory)
        if self._begun != memory.attempt:
            driver.begin_staging()
            self._begun = memory.attempt
            self.metrics.count("zincati_rpm_ostree_deploy_attempts_total")
            return self._running(memory, release)
        if driver.is_staging():
            return self._running(memory, release)
        # Only now: the command writes its outcome first, and what boots next when it ends.
        outcome, self.node = driver.outcome(memory.attempt), driver.look()
        if self.node.pending_commit == release.payload:
            return Found(event=Event.STAGED, memory=memory)
        problem = (
            outcome.problem if outcome else "the transaction ended without a word: journalctl -u nestos-agent-stage"
        )
        self.metrics.count("zincati_rpm_ostree_deploy_failures_total")
        failures = memory.stage_failures if memory.failed == release.payload else 0
        if failures + 1 >= _STAGE_FAILURES_AT_MOST:
            return Found(event=Event.GAVE_UP, memory=memory, problem=problem)
        return Found(event=Event.FAILED, memory=memory, problem=problem or "another release boots next")

    def _running(self, memory: Memory, release: Release) -> Found:
        wait = Wait(
            kind=Kind.TRANSACTION,
            what=f"{release.version} is being fetched and written into the other slot",
            remedy="watch it: journalctl --follow --unit=nestos-agent-stage",
        )
        return Found(event=Event.RUNNING, memory=memory, waits=(wait,))

    def _ask(self, memory: Memory) -> Found:
        release = _required(memory)
        if gone := self._gone(memory, release):
            return gone
        memory, news = self._news(memory)
        if news is not None:
            if news.release is None or self._before_staging(memory, news.release):
                # What is no longer offered must not boot while its successor is waited for.
                self._around.driver.drop()
            return news
        memory, waits, delay = self._leave(memory, release)
        if waits:
            return Found(event=Event.WAIT, memory=memory, waits=waits, delay_seconds=delay)
        return Found(event=Event.ALLOWED, memory=replace(memory, postponed=0))

    def _wait_for_people(self, memory: Memory) -> Found:
        release = _required(memory)
        waits = self._local_waits(memory, release)
        if waits or self._gone(memory, release):
            return Found(event=Event.REVOKED, memory=memory, waits=waits)
        present = self._around.people.present()
        self.metrics.set("zincati_update_agent_finalization_detected_active_users", len(present))
        left = self.settings.postponements - memory.postponed
        if not present or left <= 0 or self._orders(memory).skips_windows(release.version):
            self.metrics.count("zincati_update_agent_finalization_attempts")
            return Found(event=Event.ALONE, memory=memory)
        seconds = self.settings.postponement_seconds
        if left in (self.settings.postponements, 1):
            until = f"in {left * seconds // 60} minutes" if left * seconds >= 120 else f"in {left * seconds} seconds"
            self._around.people.tell(
                f"NestOS restarts into {release.version} {until}, or when everybody has logged out."
            )
        self.metrics.count("zincati_update_agent_postponed_finalizations_total")
        self.metrics.count("zincati_update_agent_finalization_blocked_count", reason="active_usersessions")
        wait = Wait(
            kind=Kind.PEOPLE,
            what=f"{', '.join(present)} logged in",
            until=self._moment(self._now() + left * seconds),
            holders=present,
            remedy="log out, or: nestos agent apply --now",
        )
        after = replace(memory, postponed=memory.postponed + 1)
        return Found(event=Event.PEOPLE, memory=after, waits=(wait,), delay_seconds=seconds)

    def _restart(self, memory: Memory) -> Found:
        """Asks for the lock once more: people may have taken their time, or the agent was away, and a lease ends."""
        release = _required(memory)
        if not self._restart_asked:
            if self._gone(memory, release):
                return Found(event=Event.FAILED, memory=memory, problem=f"{release.version} no longer boots next")
            memory, waits, _ = self._leave(memory, release)
            if waits:
                return Found(event=Event.FAILED, memory=memory, waits=waits, problem=waits[0].what)
        try:
            self._around.driver.restart()
        except NestosError as error:
            if not self._restart_asked:
                return Found(event=Event.FAILED, memory=memory, problem=f"the restart was refused: {error}")
            logger.warning("the restart that was asked for has not come yet: %s", error)
        else:
            self.metrics.count("zincati_update_agent_finalization_successes")
        self._restart_asked = True
        wait = Wait(
            kind=Kind.SHUTDOWN,
            what="the node shuts down",
            remedy="see what holds it up: systemctl list-jobs",
        )
        return Found(event=Event.ASKED, memory=memory, waits=(wait,))

    def _rest(self, memory: Memory) -> Found:
        missing = "no update server is set (cincinnati.base_url)"
        wait = Wait(
            kind=Kind.OPERATOR,
            what="updates are disabled (updates.enabled)" if not self.settings.enabled else missing,
            remedy="change that in /etc/nestos/agent.d, then: systemctl restart nestos-agent",
        )
        return Found(event=Event.WAIT, memory=memory, waits=(wait,))

    # The update server

    def _offers(self, memory: Memory) -> tuple[Memory, Choice]:
        """Asks the update server. Raises ``NestosError``."""
        self.metrics.count("zincati_cincinnati_update_checks_total")
        self._asked_at = self._around.clock.monotonic()
        node = self.node = self._around.driver.look()
        try:
            graph = self._around.updates.graph(version=node.version, payload=node.commit)
            now = self._now()
            # What lies farther ahead than it may comes of a clock that was wrong then.
            ends = now + _ABANDONED_SECONDS
            left_alone = {payload: item for payload, item in memory.abandoned.items() if now < item.until <= ends}
            reasons = {payload: f"it is left alone: {item.reason}" for payload, item in left_alone.items()}
            settings = self.settings
            wishes = Wishes(
                denied={**reasons, **node.denied},
                deny=settings.deny,
                pin=settings.pin,
                allow_downgrade=settings.allow_downgrade,
            )
            found = choice.choose(graph, booted=node.commit, wishes=wishes)
        except NestosError as error:
            self.metrics.count("zincati_cincinnati_update_checks_errors_total", kind=error.kind)
            raise
        self.metrics.set("zincati_cincinnati_graph_nodes_count", len(graph.nodes))
        self.metrics.set("zincati_cincinnati_graph_edges_count", len(graph.edges))
        self.metrics.set("zincati_cincinnati_ignored_update_targets", len(found.ignored))
        self.metrics.set("zincati_cincinnati_booted_release_is_deadend", bool(found.deadend))
        # A release that is left out for a while, as in a rollout that pauses, goes on soaking.
        shown = {item.payload for item in graph.nodes}
        known = {payload: then for payload, then in memory.seen.items() if payload in shown and then <= now}
        seen = known | {item.payload: known.get(item.payload, now) for item in found.releases}
        verdict = found.sentence or f"{found.releases[0].version} may be taken"
        self._choice = found
        return (
            replace(memory, seen=seen, last_check=now, verdict=verdict, deadend=found.deadend, abandoned=left_alone),
            found,
        )

    def _pick(self, memory: Memory, found: Choice) -> Release | None:
        """The youngest release that nothing holds back, else the youngest: it is the one to explain."""
        ready = (release for release in found.releases if not self._before_staging(memory, release))
        return next(ready, found.releases[0] if found.releases else None)

    def _news(self, memory: Memory) -> tuple[Memory, Found | None]:
        """Asks the server now and then although a release is at hand: there may be another, or it may be gone.

        A server that gives no answer changes nothing. What is staged gives way only to what may be staged at once.
        """
        orders = self._around.orders.read()
        told = orders.check is not None and orders.check.timestamp() > memory.last_check
        since = None if self._asked_at is None else self._around.clock.monotonic() - self._asked_at
        if since is not None and since < self.settings.steady_interval_seconds and not told:
            return memory, None
        try:
            memory, found = self._offers(memory)
        except NestosError as error:
            logger.warning("%s", error)
            return memory, None
        release, best = _required(memory), self._pick(memory, found)
        if best is None:
            return memory, Found(event=Event.WITHDRAWN, memory=memory, problem=found.sentence)
        if best.payload == release.payload:
            return replace(memory, release=best), None
        is_offered = any(item.payload == release.payload for item in found.releases)
        if is_offered and memory.state is State.STAGED and self._before_staging(memory, best):
            return memory, None
        return memory, Found(event=Event.OTHER, memory=memory, release=best)

    # Leave to restart

    def _before_staging(self, memory: Memory, release: Release) -> tuple[Wait, ...]:
        now = self._now()
        seen = self._moment(memory.seen.get(release.payload, now))
        orders = self._orders(memory)
        return waiting.before_staging(self.settings, orders, release=release, seen=seen, now=self._moment(now))

    def _local_waits(self, memory: Memory, release: Release) -> tuple[Wait, ...]:
        return waiting.before_restart(
            self.settings,
            self._orders(memory),
            release=release,
            marker=self._around.marker(),
            now=self._moment(self._now()),
            built=self.node.built if self.node else None,
        )

    def _leave(self, memory: Memory, release: Release) -> tuple[Memory, tuple[Wait, ...], float | None]:
        """What stands against a restart now: what the node knows itself, then the lock."""
        waits = self._local_waits(memory, release)
        if waits:
            self._answered("deny")
            return self._shed_lock(memory), waits, None
        if self._around.locks is None:
            self._answered("allow")
            return memory, (), None
        if not memory.holds_lock:
            memory = replace(memory, holds_lock=True)
            self._keep(memory, self.waits)
        refusal = self._lock(Api.PRE_REBOOT)
        self._answered("allow" if refusal is None else "deny" if refusal.holders else "error")
        if refusal is None:
            return memory, (), None
        wait = Wait(
            kind=Kind.LOCK,
            what=f"the lock server lends no slot: {refusal.value}",
            holders=refusal.holders,
            remedy="see who restarts, and free the slot of a node that is gone: nestos locks list, release",
        )
        return memory, (wait,), float(refusal.retry_after_seconds or _LOCK_POLL_SECONDS)

    def _lock(self, api: Api) -> Refusal | None:
        """Asks the lock server; no answer is a refusal of its own kind."""
        assert self._around.locks is not None
        self.metrics.count("zincati_strategy_fleet_lock_requests_total", api=api)
        try:
            refusal = self._around.locks.ask(api)
        except NestosError as error:
            refusal = Refusal(kind=error.kind, value=str(error))
        if refusal is not None:
            self.metrics.count("zincati_strategy_fleet_lock_errors_total", api=api, kind=refusal.kind)
        return refusal

    def _shed_lock(self, memory: Memory) -> Memory:
        """Gives back a slot that is not needed now; if that fails, the next step does it."""
        if not memory.holds_lock or self._around.locks is None:
            return memory
        return replace(memory, holds_lock=self._lock(Api.STEADY_STATE) is not None)

    def _answered(self, response: str) -> None:
        self.metrics.count("zincati_updates_strategy_can_finalize_responses", response=response)

    # Actions

    def _counted(self, rule: machine.Rule, memory: Memory, found: Found) -> tuple[Memory, float]:
        now = self._now()
        if rule.state is State.STAGING:
            payload = _required(memory).payload
            failures = memory.stage_failures + 1 if memory.failed == payload else 1
            delay = self._backoff(failures, _STAGE_FIRST_SECONDS, _STAGE_MOST_SECONDS)
            self._note("failed", memory.release, found.problem)
            memory = replace(memory, stage_failures=failures, failed=payload)
        else:
            failures = memory.failures + 1
            first, most = float(self.settings.steady_interval_seconds), _CHECK_MOST_SECONDS
            if rule.state is State.UNREPORTED:
                first, most = _LOCK_FIRST_SECONDS, _LOCK_MOST_SECONDS
            delay = self._backoff(failures, first, max(first, most))
            memory = replace(memory, failures=failures)
        return replace(memory, problem=found.problem, next_try=now + delay), delay

    def _abandoned(self, memory: Memory, problem: str) -> Memory:
        release = _required(memory)
        reason = problem or "another release was made to boot next"
        self._note("abandoned", release, reason)
        until = self._now() + _ABANDONED_SECONDS
        left_alone = {release.payload: Abandoned(version=release.version, reason=reason, until=until)}
        return replace(
            memory,
            abandoned={**memory.abandoned, **left_alone},
            release=None,
            stage_failures=0,
            failed="",
            problem=reason,
            next_try=0,
        )

    def _accounted(self, memory: Memory) -> Memory:
        """The first report of a boot: whether the restart that was asked for led to the release."""
        memory = replace(memory, failures=0, next_try=0, problem="")
        release, node = memory.release, self.node
        if release is None or node is None:
            return replace(memory, boot_id="")
        if node.commit == release.payload:
            self._note("updated", release, "")
            return replace(memory, release=None, boot_id="", postponed=0, restarts=0, spent=self._now())
        if not memory.boot_id:
            return replace(memory, release=None)
        reason = node.denied.get(release.payload, f"the node came back with {node.version} instead")
        return replace(self._abandoned(memory, reason), boot_id="", postponed=0, restarts=0, spent=self._now())

    def _given_up(self, memory: Memory, found: Found) -> tuple[Memory, float]:
        memory = replace(self._shed_lock(memory), boot_id="", postponed=0)
        if not found.problem:
            return memory, 0.0
        failures = memory.failures + 1
        delay = self._backoff(failures, _LOCK_FIRST_SECONDS, _CHECK_MOST_SECONDS)
        memory = replace(memory, failures=failures, problem=found.problem, next_try=self._now() + delay)
        return memory, delay

    # Time

    def _delay(self, rule: machine.Rule, found: Found) -> float:
        if found.delay_seconds is not None:
            return found.delay_seconds
        if rule.next is State.IDLE and rule.state is not State.UNREPORTED:
            return self._jittered(self.settings.steady_interval_seconds)
        if rule.next is not rule.state or rule.action is Action.REMEMBER:
            return 0.0
        if rule.state is State.STAGING:
            return _STAGE_POLL_SECONDS
        if rule.state is State.RESTARTING:
            return _RESTART_AGAIN_SECONDS
        if rule.state is State.DISABLED:
            return self._jittered(_REST_SECONDS)
        delay = self._jittered(self.settings.steady_interval_seconds)
        ends = [wait.until.timestamp() - self._now() for wait in found.waits if wait.until is not None]
        return min([delay, *(max(end, 1.0) for end in ends)])

    def _backing_off(self, now: float) -> float:
        """The seconds that are left of a back-off. One that lies farther ahead than any may be comes of a clock that
        was set back, and ends."""
        memory = self.memory
        most = _STAGE_MOST_SECONDS * (1 + waiting.JITTER)
        if memory.state in (State.START, State.STAGING) or not _MOMENT_SECONDS < memory.next_try - now <= most:
            return 0.0
        orders = self._around.orders.read()
        if orders.check is not None and orders.check.timestamp() > max(memory.last_check, memory.since):
            return 0.0
        return memory.next_try - now

    def _backoff(self, failures: int, first_seconds: float, most_seconds: float) -> float:
        seconds = waiting.backoff_seconds(failures, first_seconds=first_seconds, most_seconds=most_seconds)
        return self._jittered(seconds)

    def _jittered(self, seconds: float) -> float:
        return waiting.jittered(seconds, self._around.chance)

    def _now(self) -> float:
        return self._around.clock.now().timestamp()

    @staticmethod
    def _moment(seconds: float) -> datetime:
        return datetime.fromtimestamp(seconds, UTC)

    # The rest

    def _orders(self, memory: Memory) -> Orders:
        """The operator's orders; an approval that an update has used up no longer counts."""
        orders = self._around.orders.read()
        approval = orders.approval
        if approval is not None and approval.since.timestamp() <= memory.spent <= self._now():
            return replace(orders, approval=None)
        return orders

    def _gone(self, memory: Memory, release: Release) -> Found | None:
        node = self.node = self._around.driver.look()
        if node.pending_commit == release.payload:
            return None
        return Found(event=Event.VANISHED, memory=memory)

    def _note(self, event: str, release: Release | None, detail: str) -> None:
        time = self._around.clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        version = release.version if release else ""
        self._around.file.note(time=time, event=event, version=version, detail=detail)
        logger.info("%s %s %s", event, version, detail)


def _required(memory: Memory) -> Release:
    assert memory.release is not None, memory.state
    return memory.release
