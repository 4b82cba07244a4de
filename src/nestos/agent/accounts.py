"""What is remembered of an event: failures that are counted, releases that are left alone, what a restart led to."""

from __future__ import annotations

from dataclasses import replace

from nestos.agent.choice import Release
from nestos.agent.driver import NodeStatus
from nestos.agent.machine import State
from nestos.agent.memory import ABANDONED_SECONDS, Abandoned, Memory
from nestos.agent.settings import Settings
from nestos.agent.surroundings import Surroundings, moment
from nestos.wire.report import Outcome

CHECK_MOST_SECONDS = 3600.0
STAGE_MOST_SECONDS = 6 * 3600.0
LOCK_FIRST_SECONDS = 60.0
_LOCK_MOST_SECONDS = 600.0
_STAGE_FIRST_SECONDS = 300.0
_MOST_REPORTS = 10


class Accounts:
    """Makes the memory that an event leaves, and writes the history. Methods raise ``OSError`` on a full disk."""

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        self._settings = settings
        self._around = around

    def failed(self, state: State, memory: Memory, problem: str) -> tuple[Memory, float]:
        """One more failure, and how long to wait."""
        around = self._around
        if state is State.STAGING:
            payload = required(memory).payload
            failures = memory.stage_failures + 1 if memory.failed == payload else 1
            delay = around.backoff(failures, first_seconds=_STAGE_FIRST_SECONDS, most_seconds=STAGE_MOST_SECONDS)
            around.note("failed", memory.release, problem)
            memory = replace(memory, stage_failures=failures, failed=payload)
        else:
            failures = memory.failures + 1
            first, most = float(self._settings.steady_interval_seconds), CHECK_MOST_SECONDS
            if state is State.UNREPORTED:
                first, most = LOCK_FIRST_SECONDS, _LOCK_MOST_SECONDS
            delay = around.backoff(failures, first_seconds=first, most_seconds=max(first, most))
            memory = replace(memory, failures=failures)
        return replace(memory, problem=problem, next_try=around.now() + delay), delay

    def abandoned(self, memory: Memory, problem: str) -> Memory:
        """The release is left alone for a day."""
        release = required(memory)
        reason = problem or "another release was made to boot next"
        self._around.note("abandoned", release, reason)
        until = self._around.now() + ABANDONED_SECONDS
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

    def restarted(self, memory: Memory, node: NodeStatus | None) -> Memory:
        """The first report of a boot: whether a restart led to the release."""
        memory = replace(memory, failures=0, next_try=0, problem="")
        release = memory.release
        if release is None or node is None:
            return replace(memory, boot_id="")
        done = replace(memory, boot_id="", postponed=0, restarts=0, spent=self._around.now())
        if node.commit == release.payload:
            self._around.note("updated", release, "")
            done = self.reported(done, Outcome.UPDATED, before=memory.left)
            return replace(done, release=None)
        failure = node.denied.get(release.payload, "")
        if not memory.boot_id and not failure:
            return replace(memory, release=None)
        reason = failure or f"the node came back with {node.version} instead"
        done = self.reported(done, Outcome.ROLLED_BACK, before=node.version, reason=reason)
        return self.abandoned(done, reason)

    def reported(self, memory: Memory, outcome: Outcome, *, before: str, reason: str = "") -> Memory:
        """``memory`` with a report of its release, if that is wished."""
        reports, release = self._around.reports, required(memory)
        if reports is None:
            return memory
        envelope = reports.sealed(
            before=before or "unknown",
            after=release.version,
            outcome=outcome,
            reason=reason,
            time=moment(self._around.now()),
        )
        return replace(memory, reports=(*memory.reports, envelope)[-_MOST_REPORTS:])

    def given_up(self, memory: Memory, problem: str) -> tuple[Memory, float]:
        """The node is not restarted now; the lock was given back."""
        memory = replace(memory, boot_id="", postponed=0)
        if not problem:
            return memory, 0.0
        failures = memory.failures + 1
        delay = self._around.backoff(failures, first_seconds=LOCK_FIRST_SECONDS, most_seconds=CHECK_MOST_SECONDS)
        next_try = self._around.now() + delay
        return replace(memory, failures=failures, problem=problem, next_try=next_try), delay


def required(memory: Memory) -> Release:
    """The release that a state cannot be without."""
    assert memory.release is not None, memory.state
    return memory.release
