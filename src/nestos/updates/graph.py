"""From release index and update metadata to the graph that one node sees at one moment. Pure.

The rules are those of Fedora CoreOS's graph builder and policy engine (``commons/src``), whole seconds and order of
the floating-point operations included, so that a fleet may change servers in the middle
of a rollout.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property

from nestos.updates.wariness import wariness
from nestos.wire import graph as wire
from nestos.wire.graph import Graph, Node
from nestos.wire.releases import IndexedRelease, Marks, ReleaseIndex, Rollout, UpdateMetadata

_NO_REASON = "generic"
_SECONDS_OF_A_MINUTE = 60
_MOST_SECONDS = 2**64 - 1


@dataclass(frozen=True, kw_only=True)
class Query:
    """What a node asks with. The answer depends on all but what runs and the platform."""

    stream: str
    basearch: str
    is_oci: bool = False
    """True where the node runs a container image, false where it runs an OSTree commit."""
    rollout_wariness: str | None = None
    node_uuid: str = ""
    os_version: str = ""
    os_checksum: str = ""
    group: str = ""
    platform: str = ""

    @cached_property
    def wariness(self) -> float:
        """From 0.0 to 1.0."""
        return wariness(self.rollout_wariness, node_id=self.node_uuid)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A stream's graph for one architecture and form, and what in it is being rolled out."""

    graph: Graph
    rollouts: tuple[tuple[int, Rollout], ...]
    """Index of the node, and how it is handed out."""

    def hidden(self, wariness: float, *, now: int) -> frozenset[int]:
        """The nodes that a node of this wariness may not go to at ``now`` (seconds since 1970)."""
        return frozenset(index for index, rollout in self.rollouts if wariness > throttle(rollout, now=now))

    @property
    def groups(self) -> frozenset[str]:
        """The groups of nodes that some rollout serves whatever their wariness."""
        return frozenset(group for _, rollout in self.rollouts for group in rollout.groups)

    def for_group(self, group: str) -> Plan:
        """What nodes of that group are judged by: rollouts that serve it at once are none to be wary of."""
        return replace(self, rollouts=tuple(entry for entry in self.rollouts if group not in entry[1].groups))

    def without(self, hidden: frozenset[int]) -> Graph:
        """The graph without the edges that lead to ``hidden``; the nodes stay listed."""
        if not hidden:
            return self.graph
        return Graph(nodes=self.graph.nodes, edges=tuple(edge for edge in self.graph.edges if edge[1] not in hidden))


def answer(index: ReleaseIndex, updates: UpdateMetadata, query: Query, *, now: int) -> Graph:
    """The graph for ``query`` at ``now``, seconds since 1970."""
    plan = build(index, updates, basearch=query.basearch, is_oci=query.is_oci).for_group(query.group)
    return plan.without(plan.hidden(query.wariness, now=now))


def build(index: ReleaseIndex, updates: UpdateMetadata, *, basearch: str, is_oci: bool) -> Plan:
    """The whole graph. A release without a payload of that architecture and form is left out; its age stays taken."""
    marks_of = updates.by_version()
    listed: list[tuple[Node, Marks]] = []
    for age, release in enumerate(index.releases):
        payload = _payload(release, basearch=basearch, is_oci=is_oci)
        if payload:
            marks = marks_of.get(release.version, Marks(version=release.version))
            listed.append((_node(release.version, payload, marks, age=age, is_oci=is_oci), marks))
    marked = [marks for _, marks in listed]
    return Plan(
        graph=Graph(nodes=tuple(node for node, _ in listed), edges=tuple(_edges(marked))),
        rollouts=tuple((at, marks.rollout) for at, marks in enumerate(marked) if marks.rollout is not None),
    )


def throttle(rollout: Rollout, *, now: int) -> float:
    """The share of nodes, from 0.0 to 1.0, that may take the release at ``now``: those as wary as this, or less."""
    start, share = rollout.start_epoch or 0, rollout.start_percentage or 0.0
    if now < start:
        return 0.0
    if rollout.duration_minutes is None:
        return share
    total = min(max(rollout.duration_minutes, 1) * _SECONDS_OF_A_MINUTE, _MOST_SECONDS)
    if now > start + total:
        return 1.0
    rate = (1.0 - share) / total
    return share + rate * (now - start)


def is_over(rollout: Rollout, *, now: int) -> bool:
    """True if every node may take the release, now and from now on."""
    return throttle(rollout, now=now) >= 1.0


def _payload(release: IndexedRelease, *, basearch: str, is_oci: bool) -> str:
    found = ""
    if is_oci:
        for image in release.oci_images:
            found = image.digest_ref if image.architecture == basearch and image.digest_ref else found
    else:
        for commit in release.commits:
            found = commit.checksum if commit.architecture == basearch and commit.checksum else found
    return found


def _node(version: str, payload: str, marks: Marks, *, age: int, is_oci: bool) -> Node:
    metadata = {wire.AGE_INDEX: str(age), wire.SCHEME: wire.OCI_SCHEME if is_oci else wire.CHECKSUM_SCHEME}
    if marks.deadend is not None:
        metadata |= {wire.DEADEND: "true", wire.DEADEND_REASON: marks.deadend or _NO_REASON}
    if marks.barrier is not None:
        metadata |= {wire.BARRIER: "true", wire.BARRIER_REASON: marks.barrier or _NO_REASON}
    if marks.halted is not None:
        metadata |= {wire.HALTED: "true", wire.HALTED_REASON: marks.halted.reason}
        if marks.halted.back_to:
            metadata[wire.BACK_TO] = marks.halted.back_to
    if marks.rollout is not None:
        metadata[wire.ROLLOUT] = "true"
        if marks.rollout.start_epoch is not None:
            metadata[wire.START_EPOCH] = str(marks.rollout.start_epoch)
        if marks.rollout.start_percentage is not None:
            metadata[wire.START_VALUE] = plain(marks.rollout.start_percentage)
        if marks.rollout.duration_minutes is not None:
            metadata[wire.DURATION_MINUTES] = str(marks.rollout.duration_minutes)
    return Node(version=version, payload=payload, metadata=metadata)


def plain(number: float) -> str:
    """The number as Rust prints it: the shortest digits that mean it, never an exponent, whole ones without a point."""
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _edges(marked: Sequence[Marks]) -> Iterable[tuple[int, int]]:
    """To a rollout from the barrier before it on; to each other barrier likewise; none from a dead end.

    Ours: none to a halted release; from one, back to where its nodes are to go.
    """
    dead = {at for at, marks in enumerate(marked) if marks.deadend is not None}
    barriers = [at for at, marks in enumerate(marked) if marks.barrier is not None]
    rollouts = [at for at, marks in enumerate(marked) if marks.rollout is not None]
    targets = [*reversed(rollouts), *(at for at in barriers if at not in set(rollouts))]
    for target in targets:
        if marked[target].halted is None:
            start = max((at for at in barriers if at < target), default=0)
            yield from ((source, target) for source in range(start, target) if source not in dead)
    for source, marks in enumerate(marked):
        if marks.halted is not None and marks.halted.back_to and source not in dead:
            # Only ever to an older one that is not halted: else two ways could make a circle.
            yield from (
                (source, target)
                for target in range(source)
                if marked[target].version == marks.halted.back_to and marked[target].halted is None
            )
