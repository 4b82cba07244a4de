"""The update graph of the Cincinnati protocol, and its error answer. Standard library only.

Nodes are releases, an edge (from, to) says that one may be taken from the other; both are indexes into the nodes.
Keys are Fedora CoreOS's, so that its clients (zincati) read ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from nestos.base.report import Report
from nestos.wire import fields, texts
from nestos.wire.fields import Fields

_MOST_FINDINGS = 20
_MOST_NAME = 1024
_PREFIX = "org.fedoraproject.coreos"
SCHEME = f"{_PREFIX}.scheme"
AGE_INDEX = f"{_PREFIX}.releases.age_index"
BARRIER = f"{_PREFIX}.updates.barrier"
BARRIER_REASON = f"{_PREFIX}.updates.barrier_reason"
DEADEND = f"{_PREFIX}.updates.deadend"
DEADEND_REASON = f"{_PREFIX}.updates.deadend_reason"
ROLLOUT = f"{_PREFIX}.updates.rollout"
START_EPOCH = f"{_PREFIX}.updates.start_epoch"
START_VALUE = f"{_PREFIX}.updates.start_value"
DURATION_MINUTES = f"{_PREFIX}.updates.duration_minutes"

# Ours: the original has no word for a release that was stopped.
HALTED = "org.nestos.updates.halted"
HALTED_REASON = "org.nestos.updates.halted_reason"
BACK_TO = "org.nestos.updates.back_to"
"""Of a halted release: the version to which nodes that run it are led back."""

CHECKSUM_SCHEME = "checksum"
OCI_SCHEME = "oci"


@dataclass(frozen=True, kw_only=True)
class Node:
    """A release as the graph shows it. ``payload`` is a commit's checksum or an image's reference with its digest."""

    version: str
    payload: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Releases and the ways between them."""

    nodes: tuple[Node, ...] = ()
    edges: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """The body of an answer that is not a graph: a word for programs and a sentence for people."""

    kind: str
    value: str


def parse(text: str | bytes, *, source: str) -> Graph:
    """Reads a graph. Raises ``InputError`` with every finding: wrong types, edges that lead nowhere, a cycle."""
    value, report = fields.document(text, source=source)
    top = Fields(value, report)
    nodes: list[Node] = []
    for item in top.each("nodes"):
        nodes.append(_node(item))
        _stop(report, source=source)
    edges: list[tuple[int, int]] = []
    for position, pair in top.items("edges"):
        edge = _edge(top, position, pair, count=len(nodes))
        if edge is not None:
            edges.append(edge)
        else:
            _stop(report, source=source)
    fields.require(report, source=source)
    graph = Graph(nodes=tuple(nodes), edges=tuple(edges))
    if has_cycle(graph):
        top.error("the edges form a circle", "edges")
        fields.require(report, source=source)
    return graph


def render(graph: Graph) -> bytes:
    """The body of an answer, compact, the same for the same graph."""
    document = {
        "nodes": [
            {"version": node.version, "metadata": dict(sorted(node.metadata.items())), "payload": node.payload}
            for node in graph.nodes
        ],
        "edges": [list(edge) for edge in graph.edges],
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def parse_refusal(text: str | bytes, *, source: str) -> Refusal:
    """Reads the body of an error answer. Raises ``InputError`` where it is none."""
    value, report = fields.document(text, source=source)
    top = Fields(value, report)
    kind, value = top.text("kind", is_empty_allowed=False), top.text("value")
    fields.require(report, source=source)
    return Refusal(kind=texts.word(kind), value=texts.shown(value))


def render_refusal(refusal: Refusal) -> bytes:
    """The body of an error answer."""
    return json.dumps({"kind": refusal.kind, "value": refusal.value}, ensure_ascii=False).encode()


def has_cycle(graph: Graph) -> bool:
    """True if some way along the edges comes back to where it began."""
    targets: dict[int, list[int]] = {}
    incoming = dict.fromkeys(range(len(graph.nodes)), 0)
    for source, target in graph.edges:
        targets.setdefault(source, []).append(target)
        incoming[target] += 1
    free = [index for index, count in incoming.items() if count == 0]
    seen = 0
    while free:
        seen += 1
        for target in targets.get(free.pop(), ()):
            incoming[target] -= 1
            if incoming[target] == 0:
                free.append(target)
    return seen < len(graph.nodes)


def _node(item: Fields) -> Node:
    node = Node(version=item.text("version"), payload=item.text("payload"), metadata=item.nested("metadata").texts())
    for name, value in (("version", node.version), ("payload", node.payload)):
        if len(value) > _MOST_NAME or not value.isprintable():
            item.error(f"must be at most {_MOST_NAME} printable characters", name)
    return node


def _stop(report: Report, *, source: str) -> None:
    """Ends the reading of a document that is wrong throughout: its findings must not outgrow it."""
    if len(report) >= _MOST_FINDINGS:
        fields.require(report, source=source)


def _edge(top: Fields, position: int, item: object, *, count: int) -> tuple[int, int] | None:
    if not isinstance(item, list) or len(item) != 2 or not all(type(end) is int and end >= 0 for end in item):
        top.error("must be a pair of indexes", "edges", position)
        return None
    if max(item) >= count:
        top.error(f"there are only {count} nodes", "edges", position)
        return None
    return (item[0], item[1])
