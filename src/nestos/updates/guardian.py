"""Keeps guarded rollouts within their budgets: halts a release, or begins its next stage, by what nodes reported.

Each such step is a change of the release folder like an operator's: one transaction, signed, a line of the audit log,
by ``guard``. If a halt cannot be written (a full disk, a missing key, a lock that is held), the release is *withheld*:
this server offers it to nobody, until the halt is written.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from nestos.base.clock import Clock
from nestos.base.errors import NestosError, StateError
from nestos.updates import guard, model
from nestos.updates.fleet import Fleet
from nestos.updates.folder import Change, ReleaseFolder, Seal
from nestos.updates.guard import Action, Tally, Verdict
from nestos.updates.model import Phase, Release, Stream

logger = logging.getLogger(__name__)

WHO = "guard"


class Guardian:
    """Over one release folder. ``tick`` is called again and again, by one thread at a time."""

    def __init__(self, folder: ReleaseFolder, fleet: Fleet, *, seal: Seal, clock: Clock) -> None:
        self._folder, self._fleet, self._seal, self._clock = folder, fleet, seal, clock
        self._read: tuple[Path | None, dict[str, Stream]] = (None, {})
        self.withheld: Mapping[tuple[str, str], str] = {}
        """By stream and version: why. Replaced, never changed."""
        self.problem = ""
        """Why the last look failed; empty if it did not."""

    def tick(self) -> int:
        """Looks once; how many changes were made. Raises nothing of ours: ``problem`` says what went wrong."""
        made, withheld, problem = 0, dict[tuple[str, str], str](), ""
        try:
            for name, held in self._streams().items():
                for release in held.releases:
                    verdict = self.verdict(name, release)
                    if verdict is None or verdict.action is Action.WAIT:
                        continue
                    try:
                        self._carry_out(name, release.version, verdict)
                        made += 1
                    except (NestosError, OSError) as error:
                        problem = f"{name} {release.version} cannot be changed: {error}"
                        if verdict.action is Action.HALT:
                            withheld[name, release.version] = verdict.sentence
        except (NestosError, OSError) as error:
            problem, withheld = str(error), dict(self.withheld)
        if problem and problem != self.problem:
            logger.warning("the rollouts are not guarded as they should be: %s", problem)
        self.problem, self.withheld = problem, withheld
        return made

    def verdict(self, stream: str, release: Release) -> Verdict | None:
        """What is to be done with the release now; none: nothing guards it, or it is halted. Raises ``StateError``."""
        if release.phase is not Phase.PUBLISHED or release.guard is None or release.progress is None:
            return None
        if release.halted is not None or release.rollout is None:
            return None
        tally = self.tally(stream, release)
        is_paused = release.paused is not None
        return guard.judge(release.guard, release.progress, tally, now=self._now(), is_paused=is_paused)

    def tally(self, stream: str, release: Release) -> Tally:
        """What nodes reported of the release. Raises ``StateError``."""
        canaries = release.guard.canaries if release.guard else ()
        since = release.progress.counted_since if release.progress else 0
        return self._fleet.tally(stream, release.version, canaries=canaries, since=since)

    def _carry_out(self, name: str, version: str, verdict: Verdict) -> None:
        change = Change(who=WHO, action=str(verdict.action), subject=f"{name} {version}", reason=verdict.sentence)

        def edit(held: Stream) -> Stream:
            # An operator may have changed the release since it was read: it is judged again, under the lock.
            release = held.require(version)
            again = self.verdict(name, release)
            if again is None or again.action is not verdict.action:
                raise StateError(f"{version} was changed meanwhile")
            if verdict.action is Action.ADVANCE:
                return model.advance(held, version, now=self._now())
            return self._halted(held, release, reason=verdict.sentence)

        self._folder.change(change, seal=self._seal, name=name, edit=edit)
        logger.warning("%s %s: %s: %s", name, version, verdict.action, verdict.sentence)

    def _halted(self, held: Stream, release: Release, *, reason: str) -> Stream:
        goes_back = release.guard is not None and release.guard.goes_back and model.has_older(held, release)
        return model.halt(held, release.version, reason=reason, now=self._now(), goes_back=goes_back)

    def _streams(self) -> dict[str, Stream]:
        """The streams of the newest generation, read once."""
        newest = self._folder.generation()
        if newest != self._read[0]:
            self._read = (newest, {name: self._folder.read(name) for name in self._folder.streams()})
        return self._read[1]

    def _now(self) -> int:
        return int(self._clock.now().timestamp())
