"""Kernel arguments of a slot."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from nestos.base import durable
from nestos.base.errors import StateError
from nestos.slots import install, kargs
from nestos.slots.bootstate import Slot
from nestos.slots.hardware import BootFolder
from nestos.slots.install import read_deployment
from nestos.slots.kargs import changed, update, words
from nestos.wire.deployment import Deployment, render

HERE = ("console=tty0", "quiet", 'dyndbg="file a +p"')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("quiet", ["quiet"]),
        ("  a=1   b ", ["a=1", "b"]),
        ('dyndbg="file a +p" b', ['dyndbg="file a +p"', "b"]),
        ('"a b"', ['"a b"']),
        ("", []),
    ],
)
def test_arguments_are_words_in_which_quotes_keep_blanks(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("should", "should_not", "expected"),
    [
        ([], [], HERE),
        (["quiet"], [], HERE),
        (["debug"], [], (*HERE, "debug")),
        (["console=ttyS0"], [], (*HERE, "console=ttyS0")),
        (["a b", "a"], [], (*HERE, "a", "b")),
        ([], ["quiet"], ("console=tty0", HERE[2])),
        ([], ["console"], HERE),
        ([], ["quiet console=tty0"], (HERE[2],)),
        (["quiet"], ["quiet"], ("console=tty0", HERE[2], "quiet")),
        (['dyndbg="file a +p"'], [], HERE),
    ],
)
def test_only_what_is_asked_for_changes(should: list[str], should_not: list[str], expected: tuple[str, ...]) -> None:
    assert changed(HERE, should_exist=should, should_not_exist=should_not) == expected


@pytest.fixture
def boot(tmp_path: Path) -> Path:
    """A boot partition with something in slot A."""
    deployment = Deployment(
        version="1",
        commit="c" * 64,
        root_hash="a" * 64,
        hash_offset=4096,
        image_size=8192,
        kernel_digest="d" * 64,
        ref="r",
        kargs=("quiet",),
        timestamp="2026-01-02T03:04:05Z",
    )
    (tmp_path / "slot-a").mkdir()
    (tmp_path / "slot-a/slot.cfg").write_text(
        f"set roothash={'a' * 64}\nset hash_offset=4096\nset kargs=quiet\nset version=1\n"
    )
    (tmp_path / "slot-a/deployment.json").write_text(render(deployment))
    return tmp_path


def record(boot: Path) -> tuple[str, ...]:
    deployment = read_deployment(BootFolder(boot), Slot.A)
    assert deployment is not None
    return deployment.kargs


def test_new_arguments_reach_grub_and_the_record_and_nothing_else_changes(boot: Path) -> None:
    before = read_deployment(BootFolder(boot), Slot.A)

    assert update(boot, Slot.A, should_exist=["debug"], should_not_exist=["quiet"])

    assert (boot / "slot-a/slot.cfg").read_text().splitlines() == [
        f"set roothash={'a' * 64}",
        "set hash_offset=4096",
        "set kargs=debug",
        "set version=1",
    ]
    after = read_deployment(BootFolder(boot), Slot.A)
    assert before is not None
    assert after is not None
    assert asdict(after) == asdict(before) | {"kargs": ("debug",)}


def test_a_second_run_finds_nothing_to_do_so_that_the_machine_does_not_start_for_ever(boot: Path) -> None:
    assert update(boot, Slot.A, should_exist=["debug"], should_not_exist=[])

    assert not update(boot, Slot.A, should_exist=["debug"], should_not_exist=[])


@pytest.mark.parametrize("writes", [0, 1])
def test_a_run_that_was_cut_is_made_good_by_the_next(boot: Path, writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [writes]
    whole = durable.write_text

    def cut(path: Path, text: str, *, mode: int = 0o644) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        whole(path, text, mode=mode)

    with monkeypatch.context() as patch:
        patch.setattr(durable, "write_text", cut)
        with pytest.raises(KeyboardInterrupt):
            update(boot, Slot.A, should_exist=["debug"], should_not_exist=[])

    assert update(boot, Slot.A, should_exist=["debug"], should_not_exist=[])
    assert "set kargs='quiet debug'" in (boot / "slot-a/slot.cfg").read_text()
    assert record(boot) == ("quiet", "debug")


def test_a_slot_without_a_record_is_an_error(boot: Path) -> None:
    with pytest.raises(StateError, match="no usable record of slot b"):
        update(boot, Slot.B, should_exist=["debug"], should_not_exist=[])


def test_the_files_are_those_that_releases_are_installed_with() -> None:
    assert (kargs.CONFIG, kargs.RECORD) == (install.CONFIG, install.RECORD)
