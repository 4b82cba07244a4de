"""Answers to graph requests, made ahead: one a wariness class. Pure.

Of all that a node says, only stream, architecture, form, wariness and whether its group is served first shape its
answer; and of its wariness only which rollouts it is too wary for. With k rollouts under way there are k+1 answers, and
as many for each group that one of them serves first, however many nodes ask. They are made when the metadata are
loaded; a request is a look-up.
"""

from __future__ import annotations

import gzip
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

from nestos.updates import graph
from nestos.updates.graph import Plan, Query
from nestos.wire import graph as wire
from nestos.wire.graph import Refusal
from nestos.wire.releases import ReleaseIndex, UpdateMetadata

_SMALLEST_COMPRESSED = 512
_GZIP_LEVEL = 6
_MOST_KEPT = 32
"""Answers of one scope in memory. Streams have a handful of rollouts under way; more are made when asked for."""


@dataclass(frozen=True, kw_only=True)
class Body:
    """A body, and the same compressed; empty where that would be larger."""

    plain: bytes
    compressed: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is sent: an HTTP status and a body."""

    status: int
    body: Body


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What is known of one stream."""

    index: ReleaseIndex
    updates: UpdateMetadata


class _Scope:
    """One stream, architecture and form."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._order: list[int] = []
        self._shares: list[float] = []
        self._bodies: list[Body | None] = []
        self._kept: dict[frozenset[int], Body] = {}

    def advance(self, now: int) -> None:
        """Makes this the state at ``now``: the rollouts under way, the one with the smallest share first."""
        shares = [(graph.throttle(rollout, now=now), at) for at, rollout in self.plan.rollouts]
        under_way = sorted((share, at) for share, at in shares if share < 1.0)
        self._shares = [share for share, _ in under_way]
        order = [at for _, at in under_way]
        if order != self._order or not self._bodies:
            self._order = order
            self._bodies = [None] * (len(order) + 1)
            for count in range(min(len(self._bodies), _MOST_KEPT)):
                self._body(count)

    def body(self, wariness: float) -> Body:
        """Hidden are the rollouts whose share is smaller than the wariness."""
        count = bisect_left(self._shares, wariness)
        return self._bodies[count] or self._body(count)

    def _body(self, count: int) -> Body:
        hidden = frozenset(self._order[:count])
        if hidden not in self._kept:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[hidden] = _body(wire.render(self.plan.without(hidden)))
        made = self._kept[hidden]
        if len(self._bodies) <= _MOST_KEPT:
            self._bodies[count] = made
        return made


class Answers:
    """Every answer for one state of the metadata. ``advance`` before asking."""

    def __init__(self, streams: Mapping[str, Metadata]) -> None:
        self._streams = frozenset(streams)
        self._now: int | None = None
        self._scopes: dict[tuple[str, str, bool], _Scope] = {}
        self._favoured: dict[tuple[str, str, bool, str], _Scope] = {}
        for name, metadata in streams.items():
            for basearch in _architectures(metadata.index):
                for is_oci in (False, True):
                    plan = graph.build(metadata.index, metadata.updates, basearch=basearch, is_oci=is_oci)
                    self._scopes[name, basearch, is_oci] = _Scope(plan)
                    for group in plan.groups:
                        self._favoured[name, basearch, is_oci, group] = _Scope(plan.for_group(group))
        self._groups = frozenset(key[3] for key in self._favoured)

    @property
    def scopes(self) -> Mapping[tuple[str, str, bool], Plan]:
        """The whole graphs, by stream, architecture and whether they are of container images."""
        return {key: scope.plan for key, scope in self._scopes.items()}

    def advance(self, now: int) -> None:
        """Makes the answers those of ``now``, seconds since 1970."""
        if now != self._now:
            for scope in (*self._scopes.values(), *self._favoured.values()):
                scope.advance(now)
            self._now = now

    def of(self, query: Query) -> Answer:
        """The answer to a node."""
        scope = self._scopes.get((query.stream, query.basearch, query.is_oci))
        if scope is not None:
            if query.group in self._groups:
                scope = self._favoured.get((query.stream, query.basearch, query.is_oci, query.group), scope)
            return Answer(status=200, body=scope.body(query.wariness))
        if query.stream not in self._streams:
            return refusal(404, "does_not_exist", "there is no such stream")
        return refusal(404, "does_not_exist", "the stream has no release for this basearch")


def refusal(status: int, kind: str, value: str) -> Answer:
    """An error in the protocol's form. ``kind`` is one of few words, ``value`` a sentence."""
    return Answer(status=status, body=Body(plain=wire.render_refusal(Refusal(kind=kind, value=value))))


def _architectures(index: ReleaseIndex) -> list[str]:
    commits = {item.architecture for release in index.releases for item in release.commits}
    images = {item.architecture for release in index.releases for item in release.oci_images}
    return sorted(commits | images)


def _body(plain: bytes) -> Body:
    if len(plain) < _SMALLEST_COMPRESSED:
        return Body(plain=plain)
    return Body(plain=plain, compressed=gzip.compress(plain, _GZIP_LEVEL, mtime=0))
