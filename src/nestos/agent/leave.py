"""Leave to restart: what the node knows itself, then the lock server's slot, taken and given back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nestos.agent import waiting
from nestos.agent.choice import Release
from nestos.agent.driver import NodeStatus
from nestos.agent.memory import Memory
from nestos.agent.metrics import Metrics
from nestos.agent.settings import Settings
from nestos.agent.surroundings import Surroundings, moment
from nestos.agent.waiting import Kind, Wait
from nestos.base.errors import NestosError
from nestos.wire.fleetlock import Api, Refusal

_LOCK_POLL_SECONDS = 300
_LOCK_POLL_MOST_SECONDS = 600


class Leave:
    """Who has to agree before the node restarts."""

    def __init__(self, settings: Settings, around: Surroundings, *, metrics: Metrics) -> None:
        self._settings = settings
        self._around = around
        self._metrics = metrics

    def local_waits(self, memory: Memory, release: Release, *, node: NodeStatus | None) -> tuple[Wait, ...]:
        """What stands against a restart, as far as the node itself can tell."""
        return waiting.before_restart(
            self._settings,
            self._around.orders_for(memory),
            release=release,
            marker=self._around.marker(),
            now=moment(self._around.now()),
            built=node.built if node else None,
        )

    def ask(
        self, memory: Memory, release: Release, *, node: NodeStatus | None, keep: Callable[[Memory], None]
    ) -> tuple[Memory, tuple[Wait, ...], float | None]:
        """What stands against a restart now, the lock last; and when to ask again, where the lock server says so.

        ``keep`` makes the memory durable before a slot may be held.
        """
        waits = self.local_waits(memory, release, node=node)
        if waits:
            self._answered("deny")
            return self.shed(memory), waits, None
        if self._around.locks is None:
            self._answered("allow")
            return memory, (), None
        if not memory.holds_lock:
            memory = replace(memory, holds_lock=True)
            keep(memory)
        refusal = self.lock(Api.PRE_REBOOT)
        self._answered("allow" if refusal is None else "deny" if refusal.holders else "error")
        if refusal is None:
            return memory, (), None
        wait = Wait(
            kind=Kind.LOCK,
            what=f"the lock server lends no slot: {refusal.value}",
            holders=refusal.holders,
            remedy="see who restarts, and free the slot of a node that is gone: nestos locks list, release",
        )
        seconds = min(refusal.retry_after_seconds or _LOCK_POLL_SECONDS, _LOCK_POLL_MOST_SECONDS)
        return memory, (wait,), self._around.jittered(seconds)

    def renew(self) -> None:
        """Has a lease that is held begin anew; what stands against that counts when the restart is asked for."""
        if self._around.locks is not None:
            self.lock(Api.PRE_REBOOT)

    def shed(self, memory: Memory) -> Memory:
        """Gives back a slot that is not needed now; if that fails, the next step does it."""
        if not memory.holds_lock or self._around.locks is None:
            return memory
        return replace(memory, holds_lock=self.lock(Api.STEADY_STATE) is not None)

    def lock(self, api: Api) -> Refusal | None:
        """Asks the lock server; no answer is a refusal of its own kind."""
        assert self._around.locks is not None
        self._metrics.count("zincati_strategy_fleet_lock_requests_total", api=api)
        try:
            refusal = self._around.locks.ask(api)
        except NestosError as error:
            refusal = Refusal(kind=error.kind, value=str(error))
        if refusal is not None:
            self._metrics.count("zincati_strategy_fleet_lock_errors_total", api=api, kind=refusal.kind)
        return refusal

    def _answered(self, response: str) -> None:
        self._metrics.count("zincati_updates_strategy_can_finalize_responses", response=response)
