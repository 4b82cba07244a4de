"""Carries the agent's table out: one step at a time, each ending with a durable memory.

A step does what the state asks for (``_look``, ``_report``, ...), looks the event up in the table, does the action, and
writes the new memory; only then is the next step taken. What has an effect outside is either asked for again after a
crash (the lock, the restart) or goes on by itself (the transaction). If the memory cannot be written, the step has not
happened: above all, no restart is asked for that is not on the disk.

What the update server says is ``offers``, who has to agree to a restart ``leave``, what is remembered ``accounts``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from nestos.agent import accounts, machine, waiting
from nestos.agent.accounts import Accounts, required
from nestos.agent.choice import Release
from nestos.agent.driver import NodeStatus
from nestos.agent.leave import Leave
from nestos.agent.machine import Action, Event, State
from nestos.agent.memory import Memory
from nestos.agent.metrics import Metrics
from nestos.agent.offers import Offers
from nestos.agent.settings import Settings
from nestos.agent.surroundings import Surroundings, moment
from nestos.agent.waiting import Kind, Wait
from nestos.base.errors import NestosError
from nestos.wire.fleetlock import Api
from nestos.wire.report import Outcome

logger = logging.getLogger(__name__)

_STAGE_FAILURES_AT_MOST = 12
_STAGE_POLL_SECONDS = 5.0
_RESTART_AGAIN_SECONDS = 300.0
_RESTARTS_AT_MOST = 3
_REST_SECONDS = 10800.0
_SHED_AGAIN_SECONDS = 60.0
_TROUBLE_SECONDS = 60.0
_TROUBLE_MOST_SECONDS = 600.0
_MOMENT_SECONDS = 0.01
_OPENING_SPREAD_SECONDS = 10.0
_FIRST_STATES = (State.START, State.UNREPORTED, State.IDLE)


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
        self._offers = Offers(settings, around, metrics=metrics)
        self._leave = Leave(settings, around, metrics=metrics)
        self._accounts = Accounts(settings, around)
        self._troubles = 0
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
        return self._offers.ignored

    # One step

    def step(self) -> float:
        """Takes one step and returns how many seconds to wait before the next."""
        now = self._around.now()
        self.metrics.set("zincati_update_agent_last_refresh_timestamp", int(now))
        left = self._backing_off(now)
        if left > 0:
            return left
        try:
            found = self._steps[self.memory.state](self.memory)
            rule = machine.after(self.memory.state, found.event)
            after, delay = self._act(rule, found)
            if self._troubles and after.problem == self.memory.problem:
                after = replace(after, problem="")
            self._keep(after, found.waits)
        except (NestosError, OSError) as error:
            logger.warning("%s: %s", self.memory.state, error)
            return self._stumbled(str(error))
        self._troubles = 0
        return delay

    def _stumbled(self, problem: str) -> float:
        """The step has not happened and is tried again; nothing was done that is not on the disk.

        Meanwhile nobody else is kept from restarting, unless this node may be on its way down.
        """
        self._troubles += 1
        delay = self._around.backoff(self._troubles, first_seconds=_TROUBLE_SECONDS, most_seconds=_TROUBLE_MOST_SECONDS)
        memory = replace(self.memory, problem=problem)
        if memory.state not in (State.START, State.UNREPORTED) and not self._restart_asked:
            memory = self._leave.shed(memory)
        wait = Wait(
            kind=Kind.RETRY,
            what=f"a step that failed is tried again: {problem}",
            until=moment(self._around.now() + delay),
            remedy="mend that, then have it tried now: nestos agent check",
        )
        since = memory.waiting.get(str(wait.kind), self._around.now())
        self.memory, self.waits = replace(memory, waiting={str(wait.kind): since}), (wait,)
        return delay

    def _act(self, rule: machine.Rule, found: Found) -> tuple[Memory, float]:
        memory, delay = found.memory, self._delay(rule, found)
        note, remember = self._around.note, self._accounts
        match rule.action:
            case Action.REMEMBER:
                memory = replace(memory, release=found.release, problem="", postponed=0, restarts=0)
            case Action.FORGET:
                note("withdrawn", memory.release, found.problem)
                memory = replace(memory, release=None, problem="", postponed=0)
            case Action.COUNT:
                memory, delay = remember.failed(rule.state, memory, found.problem)
            case Action.ABANDON:
                memory = remember.abandoned(memory, found.problem)
            case Action.NOTE_STAGED:
                note("staged", memory.release, "")
                left = self.node.version if self.node else ""
                memory = replace(memory, stage_failures=0, failed="", problem="", failures=0, next_try=0, left=left)
            case Action.ACCOUNT:
                memory = remember.restarted(memory, self.node)
            case Action.GIVE_BACK:
                memory, delay = remember.given_up(self._leave.shed(memory), found.problem)
        if rule.state is State.AVAILABLE and rule.next is State.STAGING:
            memory = replace(memory, attempt=memory.attempt + 1)
        if rule.next is State.RESTARTING:
            restarts = memory.restarts + (rule.state is State.LEAVING)
            memory = replace(memory, boot_id=self._around.boot_id, restarts=restarts)
        elif rule.state is State.RESTARTING:
            memory = replace(memory, restarts=max(0, memory.restarts - 1))  # it did not come to it
        if rule.next is not rule.state:
            memory = replace(memory, state=rule.next, since=self._around.now())
            self.metrics.set("zincati_update_agent_latest_state_change_timestamp", int(self._around.now()))
            logger.info("%s: %s, so: %s", rule.state, found.event, rule.next)
        return memory, delay

    def _keep(self, memory: Memory, waits: tuple[Wait, ...]) -> None:
        now = self._around.now()
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
            problem = self._leave.lock(Api.STEADY_STATE)
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
        memory = self._tell(self._leave.shed(memory))
        try:
            self.node = self._around.driver.look()
            memory, found = self._offers.ask(memory, self.node)
        except NestosError as error:
            wait = Wait(
                kind=Kind.SERVER,
                what=f"the update server has to answer: {error}",
                remedy="see that it does, and cincinnati.base_url; then: nestos agent check",
            )
            return Found(event=Event.UNREACHABLE, memory=memory, waits=(wait,), problem=str(error))
        memory = replace(memory, failures=0, next_try=0, problem="")
        release = self._offers.pick(memory, found)
        if release is None:
            return Found(event=Event.NOTHING_NEW, memory=memory)
        return Found(event=Event.OFFERED, memory=memory, release=release)

    def _prepare(self, memory: Memory) -> Found:
        memory = self._leave.shed(memory)
        memory, news = self._news(memory)
        if news is not None:
            return news
        waits = self._offers.before_staging(memory, required(memory))
        if waits:
            return Found(event=Event.WAIT, memory=memory, waits=waits)
        return Found(event=Event.READY, memory=memory)

    def _stage(self, memory: Memory) -> Found:
        driver, release = self._around.driver, required(memory)
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
            memory = self._accounts.reported(memory, Outcome.FAILED, before=self.node.version, reason=problem)
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
        release = required(memory)
        if gone := self._gone(memory, release):
            return gone
        memory, news = self._news(memory)
        if news is not None:
            return news
        memory, waits, delay = self._leave.ask(memory, release, node=self.node, keep=self._keep_first)
        if waits:
            return Found(event=Event.WAIT, memory=memory, waits=waits, delay_seconds=delay)
        return Found(event=Event.ALLOWED, memory=replace(memory, postponed=0))

    def _wait_for_people(self, memory: Memory) -> Found:
        release = required(memory)
        waits = self._leave.local_waits(memory, release, node=self.node)
        if waits or self._gone(memory, release):
            return Found(event=Event.REVOKED, memory=memory, waits=waits)
        present = self._around.people.present()
        self.metrics.set("zincati_update_agent_finalization_detected_active_users", len(present))
        left = self.settings.postponements - memory.postponed
        if not present or left <= 0 or self._around.orders_for(memory).skips_windows(release.version):
            self.metrics.count("zincati_update_agent_finalization_attempts")
            return Found(event=Event.ALONE, memory=memory)
        self._leave.renew()
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
            until=moment(self._around.now() + left * seconds),
            holders=present,
            remedy="log out, or: nestos agent apply --now",
        )
        after = replace(memory, postponed=memory.postponed + 1)
        return Found(event=Event.PEOPLE, memory=after, waits=(wait,), delay_seconds=seconds)

    def _restart(self, memory: Memory) -> Found:
        """Asks for the lock once more: people may have taken their time, or the agent was away, and a lease ends."""
        release = required(memory)
        if not self._restart_asked:
            if self._gone(memory, release):
                return Found(event=Event.FAILED, memory=memory, problem=f"{release.version} no longer boots next")
            memory, waits, _ = self._leave.ask(memory, release, node=self.node, keep=self._keep_first)
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
        # Whoever gives the lock back while the node is going down lets one node too many restart.
        if memory.boot_id != self._around.boot_id:
            memory = self._leave.shed(memory)
        delay = self._around.jittered(_SHED_AGAIN_SECONDS) if memory.holds_lock and self._around.locks else None
        return Found(event=Event.WAIT, memory=memory, waits=(wait,), delay_seconds=delay)

    # The update server

    def _news(self, memory: Memory) -> tuple[Memory, Found | None]:
        """Asks the server now and then although a release is at hand: there may be another, or it may be gone.

        A server that gives no answer changes nothing. What is staged gives way only to what may be staged at once; when
        it is no longer offered it gives way at once, whatever is to follow.
        """
        if not self._offers.is_due(memory):
            return memory, None
        try:
            self.node = self._around.driver.look()
            memory, found = self._offers.ask(memory, self.node)
        except NestosError as error:
            logger.warning("%s", error)
            return memory, None
        release, best = required(memory), self._offers.pick(memory, found)
        if best is not None and best.payload == release.payload:
            return replace(memory, release=best), None
        is_offered = any(item.payload == release.payload for item in found.releases)
        if memory.state is State.STAGED and not is_offered:
            self._drop()
        if best is None:
            return memory, Found(event=Event.WITHDRAWN, memory=memory, problem=found.sentence)
        if is_offered and memory.state is State.STAGED and self._offers.before_staging(memory, best):
            return memory, None
        return memory, Found(event=Event.OTHER, memory=memory, release=best)

    def _drop(self) -> None:
        """Has what runs boot next again. If that fails the next step asks the server anew, before any restart."""
        try:
            self._around.driver.drop()
        except NestosError:
            self._offers.forget()
            raise

    def _tell(self, memory: Memory) -> Memory:
        """Sends the oldest report that is kept; without an answer it is sent again with the next step."""
        if self._around.reports is None or not memory.reports:
            return memory
        try:
            self._around.reports.send(memory.reports[0])
        except NestosError as error:
            logger.warning("a report is sent again later: %s", error)
            return memory
        return replace(memory, reports=memory.reports[1:])

    def _keep_first(self, memory: Memory) -> None:
        """What must be on the disk before the rest of a step."""
        self._keep(memory, self.waits)

    # Time

    def _delay(self, rule: machine.Rule, found: Found) -> float:
        if found.delay_seconds is not None:
            return found.delay_seconds
        if rule.next is State.IDLE and rule.state is not State.UNREPORTED:
            return self._around.jittered(self.settings.steady_interval_seconds)
        if rule.next is not rule.state or rule.action is Action.REMEMBER:
            return 0.0
        if rule.state is State.STAGING:
            return _STAGE_POLL_SECONDS
        if rule.state is State.RESTARTING:
            return _RESTART_AGAIN_SECONDS
        if rule.state is State.DISABLED:
            return self._around.jittered(_REST_SECONDS)
        delay = self._around.jittered(self.settings.steady_interval_seconds)
        ends = [wait.until.timestamp() - self._around.now() for wait in found.waits if wait.until is not None]
        # Many nodes wait for one moment.
        spread = _OPENING_SPREAD_SECONDS * self._around.chance.random()
        return min([delay, *(max(end, 1.0) + spread for end in ends)])

    def _backing_off(self, now: float) -> float:
        """The seconds that are left of a back-off. One that lies farther ahead than any may be comes of a clock that
        was set back, and ends."""
        memory = self.memory
        most = accounts.STAGE_MOST_SECONDS * (1 + waiting.JITTER)
        if memory.state in (State.START, State.STAGING) or not _MOMENT_SECONDS < memory.next_try - now <= most:
            return 0.0
        orders = self._around.orders.read()
        if orders.check is not None and orders.check.timestamp() > max(memory.last_check, memory.since):
            return 0.0
        return memory.next_try - now

    def _gone(self, memory: Memory, release: Release) -> Found | None:
        node = self.node = self._around.driver.look()
        if node.pending_commit == release.payload:
            return None
        return Found(event=Event.VANISHED, memory=memory)
