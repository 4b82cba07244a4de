"""What operators are shown: plain values of one moment, for the API as JSON and for the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nestos.base.clock import Clock
from nestos.base.errors import InputError
from nestos.updates import graph, guard, model, publication, source
from nestos.updates.fleet import Fleet
from nestos.updates.folder import ReleaseFolder
from nestos.updates.graph import Plan
from nestos.updates.guardian import Guardian
from nestos.updates.model import Phase, Release, Stream

MOST_FAILURES = 1000
_LAST_BYTES = 1 << 20
"""Of the audit log: enough for the newest thousand lines."""


@dataclass(frozen=True, kw_only=True)
class Views:
    """Over one release folder and what its nodes reported."""

    folder: ReleaseFolder
    fleet: Fleet
    guardian: Guardian
    clock: Clock

    @property
    def now(self) -> int:
        """Seconds since 1970."""
        return int(self.clock.now().timestamp())

    def streams(self) -> list[dict[str, Any]]:
        """Every stream in short."""
        return [self._summary(self.folder.read(name)) for name in self.folder.streams()]

    def held(self, name: str) -> Stream:
        """The stream itself. Raises ``InputError`` if there is none."""
        if name not in self.folder.streams():
            raise InputError(f'there is no stream "{name}"', kind="does_not_exist")
        return self.folder.read(name)

    def stream(self, name: str) -> dict[str, Any]:
        """A stream's releases, the newest first, with what nodes reported of each."""
        held = self.held(name)
        running, outcomes = self.fleet.versions(name), self.fleet.outcomes(name)
        releases = [self._release(name, one, running=running, outcomes=outcomes) for one in reversed(held.releases)]
        others = {
            version: count for version, count in running.items() if version not in {r["version"] for r in releases}
        }
        return {
            "stream": name,
            "nodes": sum(running.values()),
            "releases": releases,
            "other_versions": others,
            "architectures": sorted({arch for one in held.releases for arch in one.builds}),
        }

    def failures(self, name: str, *, version: str = "", limit: int = 100) -> list[dict[str, Any]]:
        """Nodes that failed, with their reason, the newest first."""
        self.held(name)
        found = self.fleet.failures(name, version, limit=min(max(limit, 1), MOST_FAILURES))
        return [asdict(one) | {"seen": publication.timestamp(one.seen)} for one in found]

    def plan(self, name: str, basearch: str) -> Plan:
        """The whole graph of a stream for one architecture, as published. Raises ``InputError`` if there is none."""
        plan = source.load(self.folder.public).scopes.get((name, basearch, False))
        if plan is None:
            raise InputError(f'{name} has no release for "{basearch}"', kind="does_not_exist")
        return plan

    def audit(self, *, limit: int = 100) -> list[dict[str, Any]]:
        """The newest changes, the newest first."""
        with (self.folder.path / "audit.jsonl").open("rb") as log:
            size = log.seek(0, 2)
            log.seek(max(size - _LAST_BYTES, 0))
            lines = log.read().splitlines()
        whole = lines if size <= _LAST_BYTES else lines[1:]
        return [json.loads(line) for line in reversed(whole[-limit:])]

    def _summary(self, held: Stream) -> dict[str, Any]:
        published = [one for one in held.releases if one.phase is Phase.PUBLISHED]
        running = self.fleet.versions(held.name)
        return {
            "stream": held.name,
            "releases": len(held.listed()),
            "newest": published[-1].version if published else "",
            "rollout": model.describe_rollout(published[-1], now=self.now) if published else "no release",
            "halted": [one.version for one in published if one.halted],
            "nodes": sum(running.values()),
        }

    def _release(
        self, name: str, one: Release, *, running: Mapping[str, int], outcomes: Mapping[str, tuple[int, int]]
    ) -> dict[str, Any]:
        good, failed = outcomes.get(one.version, (0, 0))
        verdict = self.guardian.verdict(name, one)
        return {
            "version": one.version,
            "phase": str(one.phase),
            "published": publication.timestamp(one.published) if one.published else "",
            "architectures": {arch: build.commit or build.digest_ref for arch, build in sorted(one.builds.items())},
            "rollout": model.describe_rollout(one, now=self.now) if one.phase is Phase.PUBLISHED else "",
            "share": graph.throttle(one.rollout, now=self.now) if one.rollout and not one.halted else 0.0,
            "stages": self._stages(one),
            "verdict": verdict.sentence if verdict else "",
            "is_paused": one.paused is not None and one.halted is None,
            "halted": asdict(one.halted) if one.halted else None,
            "barrier": one.barrier,
            "deadend": one.deadend,
            "withdrawn": one.withdrawn,
            "nodes": {"running": running.get(one.version, 0), "good": good, "failed": failed},
        }

    def _stages(self, one: Release) -> list[dict[str, Any]]:
        if one.guard is None or one.progress is None:
            return []
        return [
            {"name": stage.name, "share": stage.share, "state": _state(number, one.progress.stage)}
            for number, stage in enumerate(guard.stages(one.guard))
        ]


def _state(number: int, current: int) -> str:
    return "now" if number == current else "done" if number < current else "to come"
