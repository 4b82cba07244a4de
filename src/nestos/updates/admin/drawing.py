"""A stream's update graph as a picture (SVG 1.1), for the page. Pure.

Releases stand in a row, the oldest left; ways forward are arcs above it, ways back below. What a colour says is also
said by a word in the box, and the page's table says all of it without the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from nestos.wire import graph as wire
from nestos.wire.graph import Graph, Node

_MOST = 9
_STEP, _WIDTH, _HEIGHT, _MARGIN = 150, 126, 46, 14
_LIFT = 26
"""How much higher an arc rises for each release that it passes over."""


def draw(graph: Graph, *, running: Mapping[str, int], title: str) -> str:
    """The newest releases and the ways between them. ``running``: by version, how many nodes run it."""
    first = max(len(graph.nodes) - _MOST, 0)
    shown = [(source - first, target - first) for source, target in graph.edges if min(source, target) >= first]
    count = len(graph.nodes) - first
    longest = max((target - source for source, target in shown), default=1)
    back = any(target < source for source, target in shown)
    top = _MARGIN + 20 + _LIFT * longest
    width, height = 2 * _MARGIN + _STEP * (count - 1) + _WIDTH, top + _HEIGHT + _MARGIN + (60 if back else 0)
    parts = [
        f'<svg class="graph" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" class="tip"/></marker></defs>',
        *(_way(source, target, top=top) for source, target in shown),
        *(
            _box(node, place, top=top, nodes=running.get(node.version, 0))
            for place, node in enumerate(graph.nodes[first:])
        ),
        "</svg>",
    ]
    return "".join(parts)


def left_out(graph: Graph) -> int:
    """How many older releases are not in the picture."""
    return max(len(graph.nodes) - _MOST, 0)


def _middle(place: int) -> float:
    return _MARGIN + place * _STEP + _WIDTH / 2


def _way(source: int, target: int, *, top: int) -> str:
    begin, end = _middle(source), _middle(target)
    if target > source:
        height, line, name = top - _LIFT * (target - source) * 4 / 3, top - 2, "way"
        begin, end = begin + 18, end - 18
    else:
        height, line, name = top + _HEIGHT + 60, top + _HEIGHT + 2, "way back"
        begin, end = begin - 18, end + 18
    return (
        f'<path class="{name}" marker-end="url(#tip)" '
        f'd="M{begin:.0f} {line} C{begin:.0f} {height:.0f} {end:.0f} {height:.0f} {end:.0f} {line}"/>'
    )


def _box(node: Node, place: int, *, top: int, nodes: int) -> str:
    kind, word = _kind(node)
    left = _MARGIN + place * _STEP
    said = word + (f" · {nodes} nodes" if word and nodes else f"{nodes} nodes" if nodes else "")
    reason = node.metadata.get(wire.HALTED_REASON) or node.metadata.get(wire.DEADEND_REASON) or ""
    reason = reason or node.metadata.get(wire.BARRIER_REASON, "")
    name = node.version if len(node.version) <= 16 else node.version[:15] + "…"
    return (
        f'<g class="release {kind}"><title>{escape(f"{node.version} {word} {reason}".strip())}</title>'
        f'<rect x="{left}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>'
        f'<text x="{left + _WIDTH / 2:.0f}" y="{top + (19 if said else 28)}">{escape(name)}</text>'
        f'<text class="small" x="{left + _WIDTH / 2:.0f}" y="{top + 36}">{escape(said)}</text></g>'
    )


def _kind(node: Node) -> tuple[str, str]:
    for key, kind, word in (
        (wire.HALTED, "halted", "halted"),
        (wire.DEADEND, "deadend", "dead end"),
        (wire.BARRIER, "barrier", "barrier"),
        (wire.ROLLOUT, "rollout", "rollout"),
    ):
        if node.metadata.get(key) == "true":
            return kind, word
    return "plain", ""
