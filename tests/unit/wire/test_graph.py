from __future__ import annotations

import json

import pytest

from nestos.base.errors import InputError
from nestos.wire import graph
from nestos.wire.graph import Graph, Node, Refusal

GRAPH = Graph(
    nodes=(
        Node(version="1", payload="a" * 64, metadata={graph.SCHEME: "checksum", graph.AGE_INDEX: "0"}),
        Node(version="2", payload="b" * 64, metadata={graph.SCHEME: "checksum", graph.AGE_INDEX: "1"}),
    ),
    edges=((0, 1),),
)


def test_a_graph_written_and_read_is_the_same() -> None:
    assert graph.parse(graph.render(GRAPH), source="graph") == GRAPH


def test_a_graph_is_written_as_clients_of_the_field_read_it() -> None:
    document = json.loads(graph.render(GRAPH))

    assert document["edges"] == [[0, 1]]
    assert document["nodes"][1] == {
        "version": "2",
        "payload": "b" * 64,
        "metadata": {
            "org.fedoraproject.coreos.scheme": "checksum",
            "org.fedoraproject.coreos.releases.age_index": "1",
        },
    }


def test_the_same_graph_gives_the_same_bytes_whatever_the_order_of_its_metadata() -> None:
    turned = Node(version="1", payload="a" * 64, metadata=dict(reversed(list(GRAPH.nodes[0].metadata.items()))))

    assert graph.render(Graph(nodes=(turned, GRAPH.nodes[1]), edges=GRAPH.edges)) == graph.render(GRAPH)


@pytest.mark.parametrize(
    ("edges", "told"),
    [
        pytest.param([[0, 2]], "there are only 2 nodes", id="beyond the nodes"),
        pytest.param([[-1, 0]], "must be a pair of indexes", id="below zero"),
        pytest.param([[0]], "must be a pair of indexes", id="one end"),
        pytest.param([["0", "1"]], "must be a pair of indexes", id="texts"),
        pytest.param([[False, True]], "must be a pair of indexes", id="truth values"),
        pytest.param([[0, 1], [1, 0]], "form a circle", id="a circle"),
        pytest.param([[1, 1]], "form a circle", id="to itself"),
        pytest.param({}, "must be a list", id="no list"),
        pytest.param(None, '"edges" is missing', id="missing"),
    ],
)
def test_edges_that_cannot_be_are_refused(edges: object, told: str) -> None:
    document = json.loads(graph.render(GRAPH)) | {"edges": edges}

    with pytest.raises(InputError) as refused:
        graph.parse(json.dumps(document), source="http://example.org")

    assert told in str(refused.value)


def test_metadata_of_a_node_are_texts() -> None:
    document = '{"nodes": [{"version": "1", "payload": "a", "metadata": {"age": 1}}], "edges": []}'

    with pytest.raises(InputError, match=r"nodes\.0\.metadata\.age: must be a text"):
        graph.parse(document, source="a")


def test_a_refusal_written_and_read_is_the_same() -> None:
    refusal = Refusal(kind="missing_params", value="stream")

    assert json.loads(graph.render_refusal(refusal)) == {"kind": "missing_params", "value": "stream"}
    assert graph.parse_refusal(graph.render_refusal(refusal), source="a") == refusal


@pytest.mark.parametrize("body", ["", "gone", "[]", '{"kind": ""}', '{"kind": "a", "value": 1}'])
def test_an_error_page_is_no_refusal(body: str) -> None:
    with pytest.raises(InputError):
        graph.parse_refusal(body, source="a")


def test_a_graph_that_is_wrong_throughout_ends_early() -> None:
    """Each finding is larger than what it is about."""
    for text in (b'{"nodes": [], "edges": [' + b"[]," * 50_000 + b"[]]}", b'{"nodes": [' + b"1," * 50_000 + b"1]}"):
        with pytest.raises(InputError) as caught:
            graph.parse(text, source="s")
        assert len(str(caught.value)) < 5000


@pytest.mark.parametrize("version", ["\x1b[2J", "x" * 2000])
def test_a_version_that_no_terminal_should_show_is_refused(version: str) -> None:
    text = json.dumps({"nodes": [{"version": version, "payload": "p", "metadata": {}}], "edges": []})
    with pytest.raises(InputError, match="printable"):
        graph.parse(text, source="s")


def test_a_refusal_is_fit_for_a_terminal_and_a_metric() -> None:
    text = json.dumps({"kind": "a b", "value": "x\x1b"})
    assert graph.parse_refusal(text, source="s") == Refusal(kind="unknown", value="x ")
