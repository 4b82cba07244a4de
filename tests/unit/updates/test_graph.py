"""Rules of the original's graph builder and policy engine, as tables (research: updates-fleet, 3.1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nestos.updates import graph
from nestos.updates.graph import Query, answer, build, plain, throttle
from nestos.wire import graph as wire
from nestos.wire.releases import Commit, IndexedRelease, Marks, OciImage, ReleaseIndex, Rollout, UpdateMetadata

DAY = Rollout(start_epoch=1_000_000, start_percentage=0.0, duration_minutes=1440)
DAY_SECONDS = 86_400


def index(*versions: str, lacking: tuple[str, ...] = ()) -> ReleaseIndex:
    """Releases for x86_64 and, but for ``lacking``, aarch64."""
    return ReleaseIndex(
        stream="stable",
        releases=tuple(
            IndexedRelease(
                version=version,
                metadata_url="",
                commits=(
                    Commit(architecture="x86_64", checksum=f"x{version}"),
                    *(() if version in lacking else (Commit(architecture="aarch64", checksum=f"a{version}"),)),
                ),
            )
            for version in versions
        ),
    )


def updates(*marks: Marks) -> UpdateMetadata:
    return UpdateMetadata(stream="stable", releases=marks)


def edges_of(listed: ReleaseIndex, *marks: Marks, basearch: str = "x86_64") -> list[tuple[int, int]]:
    return list(build(listed, updates(*marks), basearch=basearch, is_oci=False).graph.edges)


def test_without_rollout_and_barrier_there_is_no_edge() -> None:
    assert edges_of(index("1", "2", "3")) == []


def test_every_older_release_leads_to_one_being_rolled_out() -> None:
    assert edges_of(index("1", "2", "3"), Marks(version="3", rollout=DAY)) == [(0, 2), (1, 2)]


def test_the_newest_rollout_comes_first_and_an_older_one_stays() -> None:
    marks = Marks(version="2", rollout=DAY), Marks(version="3", rollout=DAY)

    assert edges_of(index("1", "2", "3"), *marks) == [(0, 2), (1, 2), (0, 1)]


def test_nothing_jumps_over_a_barrier() -> None:
    marks = Marks(version="2", barrier="keys"), Marks(version="4", rollout=DAY)

    assert edges_of(index("1", "2", "3", "4"), *marks) == [(1, 3), (2, 3), (0, 1)]


def test_barriers_are_taken_one_after_the_other() -> None:
    marks = Marks(version="2", barrier="a"), Marks(version="3", barrier="b"), Marks(version="5", barrier="c")

    assert edges_of(index("1", "2", "3", "4", "5"), *marks) == [(0, 1), (1, 2), (2, 4), (3, 4)]


def test_a_barrier_that_is_being_rolled_out_is_reached_once() -> None:
    marks = Marks(version="2", barrier="keys", rollout=DAY), Marks(version="3", rollout=DAY)

    assert edges_of(index("1", "2", "3"), *marks) == [(1, 2), (0, 1)]


def test_from_a_dead_end_no_edge_leads_away() -> None:
    marks = Marks(version="1", deadend="broken"), Marks(version="3", rollout=DAY)

    assert edges_of(index("1", "2", "3"), *marks) == [(1, 2)]


def test_marks_of_a_version_that_is_not_listed_do_nothing() -> None:
    assert edges_of(index("1", "2"), Marks(version="9", barrier="", rollout=DAY)) == []


def test_a_release_without_the_architecture_is_left_out_and_keeps_its_age() -> None:
    listed = index("1", "2", "3", lacking=("2",))

    built = build(listed, updates(Marks(version="3", rollout=DAY)), basearch="aarch64", is_oci=False).graph

    assert [(node.version, node.payload, node.metadata[wire.AGE_INDEX]) for node in built.nodes] == [
        ("1", "a1", "0"),
        ("3", "a3", "2"),
    ]
    assert built.edges == ((0, 1),)


def test_an_architecture_that_nobody_built_for_has_an_empty_graph() -> None:
    assert build(index("1"), updates(), basearch="s390x", is_oci=False).graph == wire.Graph()


def test_images_have_a_graph_of_their_own() -> None:
    image = OciImage(architecture="x86_64", image="r/os:2", digest_ref="r/os@sha256:2")
    listed = index("1", "2")
    listed = replace(listed, releases=(listed.releases[0], replace(listed.releases[1], oci_images=(image,))))

    built = build(listed, updates(), basearch="x86_64", is_oci=True).graph

    assert [(node.payload, node.metadata[wire.SCHEME]) for node in built.nodes] == [("r/os@sha256:2", "oci")]


@pytest.mark.parametrize(
    ("marks", "metadata"),
    [
        pytest.param(Marks(version="1"), {}, id="none"),
        pytest.param(
            Marks(version="1", barrier="keys"),
            {"updates.barrier": "true", "updates.barrier_reason": "keys"},
            id="barrier",
        ),
        pytest.param(
            Marks(version="1", deadend=""),
            {"updates.deadend": "true", "updates.deadend_reason": "generic"},
            id="dead end without a reason",
        ),
        pytest.param(Marks(version="1", rollout=Rollout()), {"updates.rollout": "true"}, id="bare rollout"),
        pytest.param(
            Marks(version="1", rollout=DAY),
            {
                "updates.rollout": "true",
                "updates.start_epoch": "1000000",
                "updates.start_value": "0",
                "updates.duration_minutes": "1440",
            },
            id="rollout",
        ),
    ],
)
def test_the_metadata_of_a_node_say_what_it_is(marks: Marks, metadata: dict[str, str]) -> None:
    (node,) = build(index("1"), updates(marks), basearch="x86_64", is_oci=False).graph.nodes

    basic = {"releases.age_index": "0", "scheme": "checksum"}
    assert node.metadata == {f"org.fedoraproject.coreos.{key}": value for key, value in (basic | metadata).items()}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (1.0, "1"),
        (0.5, "0.5"),
        (0.1, "0.1"),
        (1e-7, "0.0000001"),
        (0.30000000000000004, "0.30000000000000004"),
    ],
)
def test_shares_are_printed_as_rust_prints_them(number: float, text: str) -> None:
    assert plain(number) == text


@pytest.mark.parametrize(
    ("rollout", "now", "share"),
    [
        pytest.param(DAY, 999_999, 0.0, id="a second before the start"),
        pytest.param(DAY, 1_000_000, 0.0, id="at the start"),
        pytest.param(DAY, 1_000_000 + DAY_SECONDS // 4, 0.25, id="a quarter"),
        pytest.param(DAY, 1_000_000 + DAY_SECONDS, 1.0, id="at the end"),
        pytest.param(DAY, 1_000_001 + DAY_SECONDS, 1.0, id="a second behind the end"),
        pytest.param(replace(DAY, start_percentage=0.5), 999_999, 0.0, id="half, before the start"),
        pytest.param(replace(DAY, start_percentage=0.5), 1_000_000, 0.5, id="half, at the start"),
        pytest.param(replace(DAY, start_percentage=0.5), 1_043_200, 0.75, id="half, in the middle"),
        pytest.param(replace(DAY, duration_minutes=0), 1_000_030, 0.5, id="no minutes count as one"),
        pytest.param(replace(DAY, duration_minutes=None, start_percentage=0.3), 9_999_999, 0.3, id="no duration"),
        pytest.param(replace(DAY, duration_minutes=None, start_percentage=0.3), 999_999, 0.0, id="no duration, before"),
        pytest.param(Rollout(start_percentage=1.0), 0, 1.0, id="only a share"),
        pytest.param(Rollout(), 5, 0.0, id="nothing said"),
        pytest.param(Rollout(duration_minutes=1), 30, 0.5, id="no start: since 1970"),
        pytest.param(Rollout(duration_minutes=1), -1, 0.0, id="a clock before 1970"),
        pytest.param(Rollout(duration_minutes=2**64 - 1), 10, 0.0, id="a duration beyond all measure"),
    ],
)
def test_the_share_of_nodes_follows_the_originals_arithmetic(rollout: Rollout, now: int, share: float) -> None:
    assert throttle(rollout, now=now) == pytest.approx(share, abs=1e-15)


@pytest.mark.parametrize(
    ("wariness", "now", "is_offered"),
    [
        pytest.param("0", 0, True, id="wariness 0 is served even before the start"),
        pytest.param("0.000001", 999_999, False, id="any other is not"),
        pytest.param("0.25", 1_000_000 + DAY_SECONDS // 4, True, id="as wary as the share"),
        pytest.param("0.250001", 1_000_000 + DAY_SECONDS // 4, False, id="a little warier"),
        pytest.param("1", 1_000_000 + DAY_SECONDS - 1, False, id="the wariest, before the end"),
        pytest.param("1", 1_000_001 + DAY_SECONDS, True, id="the wariest, behind the end"),
        pytest.param(None, 1_000_000 + DAY_SECONDS // 2, False, id="by its id 0.653, at one half"),
        pytest.param(None, 1_000_000 + DAY_SECONDS * 66 // 100, True, id="by its id 0.653, at 0.66"),
    ],
)
def test_a_rollout_hides_the_ways_to_a_release_and_not_the_release(
    wariness: str | None, now: int, is_offered: bool
) -> None:
    query = Query(
        stream="stable",
        basearch="x86_64",
        rollout_wariness=wariness,
        node_uuid="e0f3745b108f471cbd4883c6fbed8cdd",
    )

    seen = answer(index("1", "2"), updates(Marks(version="2", rollout=DAY)), query, now=now)

    assert len(seen.nodes) == 2
    assert seen.edges == (((0, 1),) if is_offered else ())


def test_a_held_back_rollout_leaves_the_older_one_open() -> None:
    finished = replace(DAY, start_epoch=0)
    marks = updates(Marks(version="2", rollout=finished), Marks(version="3", rollout=DAY))

    seen = answer(index("1", "2", "3"), marks, Query(stream="stable", basearch="x86_64"), now=500_000)

    assert seen.edges == ((0, 1),)


def test_no_graph_has_a_circle() -> None:
    marks = [Marks(version=str(n), barrier="", rollout=DAY if n % 3 else None) for n in range(20) if n % 2]
    built = build(index(*map(str, range(20))), updates(*marks), basearch="x86_64", is_oci=False)

    assert not wire.has_cycle(built.graph)


def test_a_rollout_is_over_when_the_wariest_node_may_take_it() -> None:
    assert not graph.is_over(DAY, now=1_000_000)
    assert graph.is_over(DAY, now=1_000_001 + DAY_SECONDS)
    assert not graph.is_over(replace(DAY, duration_minutes=None), now=2**40)
