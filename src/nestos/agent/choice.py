"""Which release of an update graph this node takes. Pure.

The rules are zincati's: the node finds itself by its commit, looks along the edges that leave it, and prefers the
youngest release that is not denied. Ours beside them: a pinned version, the operator's deny list, a reason for each
release that is left out, and the older ones behind the youngest, for a node that lets releases soak.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from nestos.base.errors import InputError
from nestos.wire import graph as wire
from nestos.wire import texts
from nestos.wire.graph import Graph, Node

_AGE_DIGITS = 20  # of 64 bits
_DEADEND_WITHOUT_REASON = "(unknown reason)"


@dataclass(frozen=True, kw_only=True)
class Release:
    """A release as the graph names it. ``payload``: its commit. ``age_index``: greater is younger."""

    version: str
    payload: str
    age_index: int = 0

    @property
    def rank(self) -> tuple[int, str, str]:
        """Greater is younger."""
        return (self.age_index, self.version, self.payload)


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What rules a release out: ``denied`` (payload to reason), the operator's list, the pin, going back."""

    denied: Mapping[str, str]
    deny: Collection[str] = ()
    pin: str = ""
    allow_downgrade: bool = False


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a graph says to this node.

    ``releases``: what may be taken, the youngest first. ``sentence``: why there is none.
    ``ignored``: version to why it was left out.
    ``deadend``: why no update leads on from what runs, empty if one may. ``is_known``: whether this node's release is
    in the graph.
    """

    releases: tuple[Release, ...]
    sentence: str
    ignored: Mapping[str, str]
    deadend: str = ""
    is_known: bool = True


def choose(graph: Graph, *, booted: str, wishes: Wishes) -> Choice:
    """The releases to take for a node that runs the commit ``booted``.

    Raises ``InputError`` for a graph whose edges lead from here to a release without scheme or age.
    """
    mine = next(
        (number for number, node in enumerate(graph.nodes) if _is_commit(node) and node.payload == booted), None
    )
    if mine is None:
        sentence = f"the update server does not know what runs here ({booted[:12]})"
        return Choice(releases=(), sentence=sentence, ignored={}, is_known=False)
    node = graph.nodes[mine]
    deadend = ""
    if node.metadata.get(wire.DEADEND) == "true":
        deadend = texts.shown(node.metadata.get(wire.DEADEND_REASON, "")) or _DEADEND_WITHOUT_REASON
    current = _release(node)
    offered = [_release(graph.nodes[target]) for source, target in graph.edges if source == mine]
    limit = _limit(graph, wishes.pin)
    ignored: dict[str, str] = {}
    taken: list[Release] = []
    for release in sorted(offered, key=lambda item: item.rank, reverse=True):
        reason = _against(release, current=current, wishes=wishes, limit=limit)
        if reason:
            ignored[release.version] = reason
        else:
            taken.append(release)
    sentence = "" if taken else _nothing(ignored, deadend)
    return Choice(releases=tuple(taken), sentence=sentence, ignored=ignored, deadend=deadend)


def _against(release: Release, *, current: Release, wishes: Wishes, limit: Release | None) -> str:
    if reason := wishes.denied.get(release.payload):
        return reason
    if release.version in wishes.deny or release.payload in wishes.deny:
        return "it is on the list updates.deny"
    if wishes.pin and (limit is None or release.rank > limit.rank):
        return f"it is beyond the version that updates.pin names, {wishes.pin}"
    if release.rank <= current.rank and not wishes.allow_downgrade:
        return f"it is older than {current.version}, which runs (updates.allow_downgrade)"
    return ""


def _nothing(ignored: Mapping[str, str], deadend: str) -> str:
    if deadend:
        return f"what runs is a dead end: {deadend}"
    if ignored:
        return "; ".join(f"{version} is left out: {reason}" for version, reason in ignored.items())
    return "the update server offers nothing newer to this node"


def _limit(graph: Graph, pin: str) -> Release | None:
    found = [_release(node) for node in graph.nodes if pin and node.version == pin and _is_commit(node)]
    return max(found, key=lambda item: item.rank, default=None)


def _is_commit(node: Node) -> bool:
    return node.metadata.get(wire.SCHEME) == wire.CHECKSUM_SCHEME


def _release(node: Node) -> Release:
    age = node.metadata.get(wire.AGE_INDEX, "")
    if node.metadata.get(wire.SCHEME) not in (wire.CHECKSUM_SCHEME, wire.OCI_SCHEME) or not (
        age.isascii() and age.isdigit() and len(age) <= _AGE_DIGITS
    ):
        raise InputError(f"the update graph has no scheme or age for {node.version}", kind="client_failed_node_parsing")
    return Release(version=node.version, payload=node.payload, age_index=int(age))
