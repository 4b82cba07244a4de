"""A stream's releases and what may be done to them. Pure: every operation takes a stream and returns the next one.

This is the truth that the published formats are made of (``nestos.updates.publication``). Times are whole seconds since
1970 in UTC. Operations raise ``StateError`` where the release is not in a state for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from nestos.base.errors import InputError, StateError
from nestos.base.report import nearest
from nestos.updates import graph, guard
from nestos.updates.guard import Guard, Progress
from nestos.wire.releases import Halt, Rollout
from nestos.wire.stream import Formats

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,127}")
_CHECKSUM = re.compile(r"[0-9a-f]{64}")
_MINUTE = 60
_MOST_MINUTES = 60 * 24 * 366


class Phase(StrEnum):
    """Where a release stands."""

    DRAFT = "draft"
    """Known here only; may be changed and dropped."""
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"
    """No node is led to it any more; nodes that run it are still led on."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """A release for one architecture."""

    commit: str = ""
    """Checksum of the OSTree commit, hexadecimal; empty where there is only an image."""
    image: str = ""
    """Container image with its tag; empty: none."""
    digest_ref: str = ""
    """The same with its digest; empty: none."""
    artifacts: Mapping[str, Formats] = field(default_factory=dict)
    """By platform."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """One release of a stream."""

    version: str
    phase: Phase = Phase.DRAFT
    created: int
    published: int = 0
    builds: Mapping[str, Build] = field(default_factory=dict)
    """By architecture."""
    rollout: Rollout | None = None
    paused: Rollout | None = None
    """While ``rollout`` is held: how it goes on; none: it is not paused."""
    guard: Guard | None = None
    """How its rollout is guarded; none: it advances by time alone, and only a person stops it."""
    progress: Progress | None = None
    """Where the guarded rollout stands; none: there is no guard."""
    halted: Halt | None = None
    """Why it is offered to nobody; none: it is not halted. ``paused`` then holds how it goes on."""
    barrier: str | None = None
    deadend: str | None = None
    withdrawn: str = ""
    """Why it was withdrawn."""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A stream's releases: the published and withdrawn ones in the order of their publication, then drafts."""

    name: str
    releases: tuple[Release, ...] = ()

    def require(self, version: str) -> Release:
        """The release, whatever its phase. Raises ``InputError`` naming the nearest one."""
        for release in self.releases:
            if release.version == version:
                return release
        known = [release.version for release in self.releases]
        raise InputError(f'{self.name} has no release "{version}"{nearest(version, known)}')

    def listed(self) -> tuple[Release, ...]:
        """Without the drafts."""
        return tuple(release for release in self.releases if release.phase is not Phase.DRAFT)

    def changed(self, release: Release) -> Stream:
        """With ``release`` in the place of the one of its version."""
        return replace(self, releases=tuple(release if r.version == release.version else r for r in self.releases))


def check_name(name: str, *, what: str) -> str:
    """The name itself. Raises ``InputError`` if it could not be a part of a path and of a URL."""
    if not _NAME.fullmatch(name):
        raise InputError(f'"{name}" is not usable as {what}: letters, digits and . _ + ~ - only, at most 128')
    return name


def create(stream: Stream, version: str, builds: Mapping[str, Build], *, now: int) -> Stream:
    """A draft, or more architectures and artifacts for one. Raises ``StateError`` once it is published."""
    check_name(version, what="version")
    for architecture, build in builds.items():
        check_name(architecture, what="architecture")
        if build.commit and not _CHECKSUM.fullmatch(build.commit):
            raise InputError(f'"{build.commit}" is no commit: 64 hexadecimal digits')
    known = next((release for release in stream.releases if release.version == version), None)
    if known is None:
        release = Release(version=version, created=now, builds=dict(builds))
        return replace(stream, releases=(*stream.releases, release))
    if known.phase is not Phase.DRAFT:
        raise StateError(f"{version} is {known.phase} and changes no more", hint="make a release of another version")
    merged = {name: _merged(known.builds.get(name, Build()), build) for name, build in builds.items()}
    return stream.changed(replace(known, builds={**known.builds, **merged}))


def publish(stream: Stream, version: str, *, now: int) -> Stream:
    """Makes a draft the newest release. No node is led to it before its rollout."""
    release = stream.require(version)
    if release.phase is not Phase.DRAFT:
        raise StateError(f"{version} is {release.phase} already")
    lacking = [name for name, build in release.builds.items() if not build.commit and not build.digest_ref]
    if not release.builds or lacking:
        raise StateError(f"{version} has no commit{' for ' + ', '.join(lacking) if lacking else ''}")
    published = replace(release, phase=Phase.PUBLISHED, published=now)
    drafts = tuple(r for r in stream.releases if r.phase is Phase.DRAFT and r.version != version)
    return replace(stream, releases=(*stream.listed(), published, *drafts))


def rollout(
    stream: Stream,
    version: str,
    *,
    now: int,
    start: int | None = None,
    start_percentage: float | None = None,
    duration_minutes: int,
) -> Stream:
    """Hands the release out from ``start`` (now), over ``duration_minutes`` (0: to every node at once), unguarded.

    A rollout under way goes on from the share it has reached, faster or slower, unless a share is given. Older
    rollouts that a finished newer one has made needless end.
    """
    release = _to_be_handed_out(stream, version)
    if start_percentage is not None and not 0 <= start_percentage <= 1:
        raise InputError(f"a share of {start_percentage} is not from 0.0 to 1.0")
    if not 0 <= duration_minutes <= _MOST_MINUTES:
        raise InputError(f"a rollout of {duration_minutes} minutes is not from none to a year")
    share = start_percentage
    if share is None:
        share = _share(release, now=now)
    wanted = Rollout(
        start_epoch=now if start is None else start,
        start_percentage=1.0 if duration_minutes == 0 else share,
        duration_minutes=duration_minutes or None,
    )
    fresh = replace(release, rollout=wanted, paused=None, guard=None, progress=None)
    return _settled(stream.changed(fresh), now=now)


def guarded_rollout(stream: Stream, version: str, wanted: Guard, *, now: int) -> Stream:
    """Hands the release out in the stages of ``wanted``.

    One under way goes on with the first stage that reaches no fewer nodes than it has reached. Failures that were
    reported so far go on counting.
    """
    release = _to_be_handed_out(stream, version)
    steps = guard.stages(guard.check(wanted))
    reached = _share(release, now=now)
    first = next((at for at, step in enumerate(steps) if step.is_last or step.share >= reached), 0)
    began = release.progress.counted_since if release.progress else now
    fresh = replace(release, paused=None, guard=wanted)
    return _settled(stream.changed(_entered(fresh, first, since=now, counted_since=began, least=reached)), now=now)


def advance(stream: Stream, version: str, *, now: int) -> Stream:
    """Begins the next stage of a guarded rollout."""
    release = _to_be_handed_out(stream, version)
    if release.guard is None or release.progress is None:
        raise StateError(f"the rollout of {version} has no stages")
    if release.paused is not None:
        raise StateError(f"the rollout of {version} is paused", hint="see: nestos release resume")
    following = release.progress.stage + 1
    if following >= len(guard.stages(release.guard)):
        raise StateError(f"{version} is in its last stage already")
    began = release.progress.counted_since
    return _settled(stream.changed(_entered(release, following, since=now, counted_since=began)), now=now)


def pause(stream: Stream, version: str, *, now: int) -> Stream:
    """Holds the rollout at the share it has reached. Nodes of wariness 0 and canaries go on getting it: see halt."""
    release = _to_be_handed_out(stream, version)
    if release.rollout is None:
        raise StateError(f"{version} is not being rolled out")
    if release.paused is not None:
        raise StateError(f"the rollout of {version} is paused already")
    if graph.is_over(release.rollout, now=now):
        raise StateError(f"the rollout of {version} is over: every node may have it", hint="see: nestos release halt")
    if release.rollout.duration_minutes is None and release.guard is None:
        raise StateError(f"the rollout of {version} does not advance by itself")
    return stream.changed(_held(release, release.rollout, now=now))


def halt(stream: Stream, version: str, *, reason: str, now: int, goes_back: bool = False) -> Stream:
    """Stops a release for everyone, whatever their wariness; nodes that run it stay, or are led back.

    Halting a halted one changes the reason and where its nodes go. ``goes_back`` leads to the newest older release that
    is neither halted nor a dead end.
    """
    release = _published(stream, version)
    if not reason:
        raise InputError("a reason is needed: operators of nodes that have the release will ask")
    if release.rollout is None and release.barrier is None and release.halted is None:
        raise StateError(f"no node is led to {version}")
    back_to = ""
    if goes_back:
        older = _older(stream, release)
        if older is None:
            raise StateError(f"there is no older release than {version} to go back to")
        back_to = older.version
    stopped = replace(release, halted=Halt(reason=reason, back_to=back_to))
    if release.paused is None and release.rollout is not None:
        stopped = _held(stopped, release.rollout, now=now)
    return stream.changed(stopped)


def has_older(stream: Stream, release: Release) -> bool:
    """Whether there is a release to which nodes of this one could go back."""
    return _older(stream, release) is not None


def resume(stream: Stream, version: str, *, now: int) -> Stream:
    """Lets a paused or halted rollout go on from its share, in the time that was left.

    A guarded stage begins its time anew, and failures that led to a halt count no more.
    """
    release = _published(stream, version)
    if release.paused is None and release.halted is None:
        raise StateError(f"the rollout of {version} is not paused")
    going = release.rollout
    if release.paused is not None:
        going = replace(release.paused, start_epoch=max(now, release.paused.start_epoch or 0))
    progress = release.progress
    if progress is not None:
        counted_since = now if release.halted is not None else progress.counted_since
        progress = replace(progress, since=now, counted_since=counted_since)
    return stream.changed(replace(release, rollout=going, paused=None, halted=None, progress=progress))


def barrier(stream: Stream, version: str, *, reason: str | None, now: int) -> Stream:
    """Makes the release one that no node jumps over; none as ``reason``: no longer.

    The graph leads every node to a barrier that is not being rolled out. So one that no node is led to yet is held at a
    share of 0 until its rollout.
    """
    release = _published(stream, version)
    held = release.rollout
    if reason is not None and held is None:
        newer = stream.releases[stream.releases.index(release) + 1 :]
        covered = {form for one in newer if _is_over(one, now=now) for form in _forms(one)}
        held = None if _forms(release) <= covered else Rollout(start_percentage=0.0)
    return stream.changed(replace(release, barrier=reason, rollout=held))


def deadend(stream: Stream, version: str, *, reason: str | None) -> Stream:
    """Makes the release one that no way leads away from, and says why; none as ``reason``: no longer."""
    release = stream.require(version)
    if release.phase is Phase.DRAFT:
        raise StateError(f"{version} is not published yet")
    return stream.changed(replace(release, deadend=reason))


def withdraw(stream: Stream, version: str, *, reason: str) -> Stream:
    """Takes a release back: no node is led to it, whatever its wariness; a draft is dropped."""
    release = stream.require(version)
    if release.phase is Phase.WITHDRAWN:
        raise StateError(f"{version} is withdrawn already: {release.withdrawn}")
    if release.phase is Phase.DRAFT:
        return replace(stream, releases=tuple(r for r in stream.releases if r.version != version))
    if not reason:
        raise InputError("a reason is needed: operators of nodes that have the release will ask")
    gone = replace(_without_rollout(release), phase=Phase.WITHDRAWN, withdrawn=reason, halted=None, barrier=None)
    return stream.changed(gone)


def describe_rollout(release: Release, *, now: int) -> str:
    """How far the rollout is, for people."""
    if release.halted is not None:
        return f"halted: {release.halted.reason}"
    if release.rollout is None:
        return "no rollout"
    share = f"{graph.throttle(release.rollout, now=now):.0%}"
    if release.guard is not None and release.progress is not None:
        share = f"{guard.stages(release.guard)[release.progress.stage].name}, {share}"
    if release.paused is not None:
        return f"paused at {share}"
    start = release.rollout.start_epoch or 0
    if now < start:
        return f"begins in {_span(start - now)}"
    if graph.is_over(release.rollout, now=now):
        return "every node"
    if release.rollout.duration_minutes is None:
        return f"held at {share}"
    return f"{share}, every node in {_span(start + release.rollout.duration_minutes * _MINUTE - now)}"


def _span(seconds: int) -> str:
    minutes = max(seconds // _MINUTE, 1)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _to_be_handed_out(stream: Stream, version: str) -> Release:
    release = _published(stream, version)
    if release.halted is not None:
        raise StateError(f"{version} is halted: {release.halted.reason}", hint="see: nestos release resume")
    return release


def _share(release: Release, *, now: int) -> float:
    return graph.throttle(release.rollout, now=now) if release.rollout else 0.0


def _entered(release: Release, number: int, *, since: int, counted_since: int, least: float = 0.0) -> Release:
    """In the stage ``number`` of its guard, at a share of ``least`` or more."""
    assert release.guard is not None
    stage = guard.stages(release.guard)[number]
    minutes = release.guard.last_minutes if stage.is_last else 0
    handed = Rollout(
        start_epoch=since,
        start_percentage=max(stage.share, least),
        duration_minutes=minutes or None,
        groups=release.guard.canaries,
    )
    progress = Progress(stage=number, since=since, counted_since=counted_since)
    return replace(release, rollout=handed, progress=progress)


def _held(release: Release, going: Rollout, *, now: int) -> Release:
    """At the share that ``going`` has reached; ``paused`` says how it goes on."""
    start = going.start_epoch or 0
    share, later = 0.0, going
    if now >= start:
        share = graph.throttle(going, now=now)
        minutes = None
        if going.duration_minutes is not None and share < 1.0:
            seconds = start + max(going.duration_minutes, 1) * _MINUTE - now
            minutes = max(-(-seconds // _MINUTE), 1)
        later = replace(going, start_epoch=now, start_percentage=share, duration_minutes=minutes)
    held = replace(going, start_epoch=now, start_percentage=share, duration_minutes=None)
    return replace(release, rollout=held, paused=later)


def _older(stream: Stream, release: Release) -> Release | None:
    """The release to which nodes of a halted one go back."""
    older = stream.releases[: stream.releases.index(release)]
    fit = (one for one in reversed(older) if one.phase is Phase.PUBLISHED and not one.halted and one.deadend is None)
    return next(fit, None)


def _without_rollout(release: Release) -> Release:
    return replace(release, rollout=None, paused=None, guard=None, progress=None)


def _published(stream: Stream, version: str) -> Release:
    release = stream.require(version)
    if release.phase is not Phase.PUBLISHED:
        raise StateError(f"{version} is {'not published yet' if release.phase is Phase.DRAFT else release.phase}")
    return release


def _merged(old: Build, new: Build) -> Build:
    artifacts = {name: dict(formats) for name, formats in old.artifacts.items()}
    for platform, formats in new.artifacts.items():
        held = artifacts.setdefault(platform, {})
        for name, parts in formats.items():
            held[name] = {**held.get(name, {}), **parts}
    return Build(
        commit=new.commit or old.commit,
        image=new.image or old.image,
        digest_ref=new.digest_ref or old.digest_ref,
        artifacts=artifacts,
    )


def _settled(stream: Stream, *, now: int) -> Stream:
    """Without the rollouts that a newer, finished one has made needless: edges grow by their square.

    Needless is one if every architecture and form of the release has such a newer one, and no barrier that is still
    being rolled out stands between: that barrier itself would else be open to every node.
    """
    covered: set[tuple[str, bool]] = set()
    kept = []
    for release in reversed(stream.releases):
        forms, is_over = _forms(release), _is_over(release, now=now)
        if release.barrier is not None and release.rollout is not None and not is_over:
            covered -= forms
            kept.append(release)
        else:
            kept.append(_without_rollout(release) if forms <= covered else release)
        if is_over:
            covered |= forms
    return replace(stream, releases=tuple(reversed(kept)))


def _is_over(release: Release, *, now: int) -> bool:
    return release.halted is None and release.rollout is not None and graph.is_over(release.rollout, now=now)


def _forms(release: Release) -> set[tuple[str, bool]]:
    """What the release is made for: architecture, and whether as a container image."""
    commits = {(name, False) for name, build in release.builds.items() if build.commit}
    return commits | {(name, True) for name, build in release.builds.items() if build.digest_ref}
