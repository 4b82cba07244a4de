"""Lock files."""

from __future__ import annotations

import json

import pytest

from nestos.wire.lockfile import Change, Difference, Locked, Lockfile, diff, merge, parse, render, unlocked

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


def lock(**packages: str) -> Lockfile:
    """A lock with versions for amd64."""
    return Lockfile(packages={name: Locked(evra=f"{version}.amd64") for name, version in packages.items()})


def errors(text: str) -> list[str]:
    found, report = parse(text, source="a.lock")
    assert found is None
    assert all(item.source == "a.lock" for item in report)
    return [str(item) for item in report]


def test_a_lock_is_read_and_written_back_the_same() -> None:
    text = render(
        Lockfile(
            metadata={"generated": "2026-11-23T00:00:00Z"},
            packages={"b": Locked(evra="1:2~rc1-3+b1.amd64", digest=ONE), "a": Locked(evra="1.0-1", has_arch=False)},
        )
    )
    found, report = parse(text, source="a.lock")
    assert not list(report)
    assert found is not None
    assert render(found) == text
    assert found.packages["b"].version == "1:2~rc1-3+b1"
    assert found.packages["a"].version == "1.0-1"
    assert list(json.loads(text)["packages"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "must be an object"),
        ("{}", '"packages" is missing'),
        ('{"packages": [], "metadata": 1}', "must be an object"),
        ('{"packages": {}, "pakages": {}}', 'did you mean "packages"?'),
        ('{"packages": {"a": {"evra": "1.x"}, "a": {"evra": "2.x"}}}', 'the key "a" is given twice'),
        ('{"packages": {"a": "1.0"}}', "$.packages.a: must be an object such as"),
        ('{"packages": {"a": {}}}', "needs exactly one of evra and evr"),
        ('{"packages": {"a": {"evra": "1.x", "evr": "1"}}}', "needs exactly one"),
        ('{"packages": {"a": {"evra": "1-1"}}}', 'does not end in ".architecture"'),
        ('{"packages": {"a": {"evra": "1.x", "digest": "sha256:12"}}}', "$.packages.a.digest"),
        ('{"packages": {"a": {"evra": "1.x", "digst": ""}}}', 'did you mean "digest"?'),
    ],
)
def test_a_lock_with_a_mistake_is_refused_at_its_place(text: str, message: str) -> None:
    assert any(message in item for item in errors(text)), errors(text)


def test_all_mistakes_of_a_lock_come_at_once() -> None:
    assert len(errors('{"packages": {"a": {}, "b": 1, "c": {"evra": "1"}}}')) == 3


def test_a_later_lock_overrides_an_earlier_one_by_package() -> None:
    merged = merge([lock(a="1", b="1"), lock(b="2", c="2")])
    assert {name: one.version for name, one in merged.packages.items()} == {"a": "1", "b": "2", "c": "2"}


def test_a_strict_lock_names_every_package_it_does_not_allow() -> None:
    wanted = Lockfile(
        packages={
            "same": Locked(evra="1.amd64", digest=ONE),
            "moved": Locked(evra="1.amd64"),
            "rebuilt": Locked(evra="1.amd64", digest=ONE),
            "open": Locked(evra="1", has_arch=False),
            "other-arch": Locked(evra="1.all"),
            "unused": Locked(evra="1.amd64"),
        }
    )
    chosen = {
        "same": Locked(evra="1.amd64", digest=ONE),
        "moved": Locked(evra="2.amd64"),
        "rebuilt": Locked(evra="1.amd64", digest=TWO),
        "open": Locked(evra="1.amd64", digest=TWO),
        "other-arch": Locked(evra="1.amd64"),
        "new": Locked(evra="5.amd64"),
    }
    assert [str(item) for item in unlocked(chosen, wanted)] == [
        "moved: 1.amd64 is locked, 2.amd64 was chosen",
        "new: 5.amd64 is not in the lock",
        "other-arch: 1.all is locked, 1.amd64 was chosen",
        f"rebuilt: 1.amd64 is locked with {ONE}, the package offered has {TWO}",
    ]


def test_a_tree_that_follows_its_lock_has_nothing_unlocked() -> None:
    assert unlocked(lock(a="1").packages, lock(a="1", b="2")) == ()


def test_the_difference_of_two_locks_tells_up_from_down_by_the_given_order() -> None:
    def compare(left: str, right: str) -> int:
        return (int(left) > int(right)) - (int(left) < int(right))

    old, new = lock(gone="1", up="9", down="10", same="1"), lock(up="10", down="9", same="1", fresh="3")
    assert diff(old, new, compare=compare) == Difference(
        added=(("fresh", "3"),),
        removed=(("gone", "1"),),
        upgraded=(Change(name="up", old="9", new="10"),),
        downgraded=(Change(name="down", old="10", new="9"),),
    )
    assert not diff(old, old, compare=compare)


def test_the_same_version_with_another_digest_is_a_rebuild() -> None:
    old = Lockfile(packages={"a": Locked(evra="1.amd64", digest=ONE), "b": Locked(evra="1.amd64")})
    new = Lockfile(packages={"a": Locked(evra="1.amd64", digest=TWO), "b": Locked(evra="1.amd64", digest=TWO)})
    found = diff(old, new, compare=lambda left, right: (left > right) - (left < right))
    assert found == Difference(rebuilt=(Change(name="a", old=ONE, new=TWO),))
    assert found
