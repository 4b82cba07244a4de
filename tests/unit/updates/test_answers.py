from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestos.updates import graph
from nestos.updates.answers import Answer, Answers, Metadata
from nestos.updates.graph import Query
from nestos.updates.query import parse
from nestos.wire import graph as wire
from nestos.wire.releases import Commit, IndexedRelease, Marks, ReleaseIndex, Rollout, UpdateMetadata


def metadata(*rollouts: Rollout | None) -> Metadata:
    """A stream with one release of each rollout, and one before them."""
    releases = tuple(
        IndexedRelease(
            version=str(number), metadata_url="", commits=(Commit(architecture="x86_64", checksum=f"{number:064x}"),)
        )
        for number in range(len(rollouts) + 1)
    )
    marks = tuple(Marks(version=str(number), rollout=one) for number, one in enumerate(rollouts, start=1) if one)
    return Metadata(
        index=ReleaseIndex(stream="stable", releases=releases), updates=UpdateMetadata(stream="stable", releases=marks)
    )


def ask(answers: Answers, wariness: str, *, now: int) -> wire.Graph:
    answers.advance(now)
    answer = answers.of(Query(stream="stable", basearch="x86_64", rollout_wariness=wariness))
    assert answer.status == 200
    return wire.parse(answer.body.plain, source="answer")


@given(
    starts=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 10), st.integers(1, 60)), max_size=5),
    wariness=st.floats(0, 1),
    moments=st.lists(st.integers(0, 8000), min_size=1, max_size=4),
)
def test_an_answer_made_ahead_is_the_answer_worked_out_on_asking(
    starts: list[tuple[int, int, int]], wariness: float, moments: list[int]
) -> None:
    """For every set of rollouts, every wariness, and time that goes where it wants."""
    rollouts = [
        Rollout(start_epoch=start, start_percentage=tenths / 10, duration_minutes=minutes)
        for start, tenths, minutes in starts
    ]
    held = metadata(*rollouts)
    answers = Answers({"stable": held})
    said = f"{wariness:.6f}"
    for now in moments:
        query = Query(stream="stable", basearch="x86_64", rollout_wariness=said)
        assert ask(answers, said, now=now) == graph.answer(held.index, held.updates, query, now=now)


def test_nodes_of_one_class_share_one_body() -> None:
    answers = Answers({"stable": metadata(Rollout(start_epoch=0, start_percentage=0.5))})
    answers.advance(10)
    bodies = {
        id(answers.of(Query(stream="stable", basearch="x86_64", node_uuid=f"{number:032x}")).body)
        for number in range(500)
    }

    assert len(bodies) == 2


def test_more_rollouts_than_are_kept_are_answered_right() -> None:
    rollouts = [Rollout(start_epoch=0, start_percentage=number / 100) for number in range(80)]
    answers = Answers({"stable": metadata(*rollouts)})

    for wariness in ("0.000000", "0.355000", "0.999000", "0.005000"):
        offered = {target for _, target in ask(answers, wariness, now=1).edges}
        assert len(offered) == sum(number / 100 >= float(wariness) for number in range(80))


def test_a_large_answer_is_there_compressed_too() -> None:
    answers = Answers({"stable": metadata(*[None] * 20)})
    answers.advance(0)
    body = answers.of(Query(stream="stable", basearch="x86_64")).body

    assert gzip.decompress(body.compressed) == body.plain
    assert len(body.compressed) < len(body.plain) / 3


@pytest.mark.parametrize(
    ("stream", "basearch"), [("none", "x86_64"), ("stable", "s390x"), ("stable", ""), ("", "x86_64")]
)
def test_what_there_is_not_is_told_in_the_form_of_the_protocol(stream: str, basearch: str) -> None:
    answers = Answers({"stable": metadata()})
    answers.advance(0)
    answer = answers.of(Query(stream=stream, basearch=basearch))

    assert answer.status == 404
    assert wire.parse_refusal(answer.body.plain, source="answer").kind == "does_not_exist"


def test_a_stream_without_images_has_an_empty_graph_of_them() -> None:
    answers = Answers({"stable": metadata()})
    answers.advance(0)

    assert json.loads(answers.of(Query(stream="stable", basearch="x86_64", is_oci=True)).body.plain) == {
        "nodes": [],
        "edges": [],
    }


# The query


def test_every_parameter_of_the_original_is_read() -> None:
    text = (
        "basearch=x86_64&stream=stable&os_version=1.0&os_checksum=abc&group=default&node_uuid=c988"
        "&platform=qemu&rollout_wariness=0.500000&oci=true"
    )

    assert parse(text) == Query(
        stream="stable",
        basearch="x86_64",
        is_oci=True,
        rollout_wariness="0.500000",
        node_uuid="c988",
        os_version="1.0",
        os_checksum="abc",
        group="default",
        platform="qemu",
    )


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("", "missing_params", "basearch, stream"),
        ("stream=stable", "missing_params", "basearch"),
        ("basearch=x86_64&stream=", "missing_params", "stream"),
        ("basearch=x86_64&stream=stable&oci=1", "invalid_params", "oci"),
        ("basearch=x86_64&stream=stable&oci=", "invalid_params", "oci"),
        ("basearch=x86_64&stream=stable&oci=True", "invalid_params", "oci"),
    ],
)
def test_a_query_that_cannot_be_answered_is_refused_with_its_reason(text: str, kind: str, told: str) -> None:
    refused = parse(text)

    assert isinstance(refused, Answer)
    assert refused.status == 400
    refusal = wire.parse_refusal(refused.body.plain, source="answer")
    assert (refusal.kind, told in refusal.value) == (kind, True)


def test_parameters_are_decoded_and_strange_ones_passed_over() -> None:
    query = parse("&&=&x&unknown=%zz&basearch=x86%5F64&stream=sta+ble&stream=other&node_uuid=%ff%C3%A4")

    assert isinstance(query, Query)
    assert (query.basearch, query.stream) == ("x86_64", "sta ble")
    assert 0 <= query.wariness <= 1


@given(st.text())
def test_no_query_string_is_too_strange(text: str) -> None:
    found = parse(text)

    assert isinstance(found, Answer) or 0 <= found.wariness <= 1
