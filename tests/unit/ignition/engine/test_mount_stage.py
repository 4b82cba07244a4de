"""Mounting what the config lists, and unmounting it."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from nestos.base.errors import CommandError
from nestos.ignition.engine.disks import mounting
from nestos.ignition.engine.disks.survey import StorageError
from nestos.ignition.engine.stages import kargs, mount, umount
from nestos.ignition.engine.stages.kargs import KernelArgumentsError
from tests.unit.ignition.engine.bench import Bench
from tests.unit.ignition.engine.disks.blocks import Blocks


@pytest.fixture
def blocks(machine: Bench) -> Blocks:
    return Blocks(bench=machine)


def filesystems(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"storage": {"filesystems": [{"format": "ext4", **entry} for entry in entries]}}


NESTED = filesystems(
    {"device": "/dev/c", "path": "/var/lib/data"},
    {"device": "/dev/a", "path": "/var", "mountOptions": ["noatime", "ro"]},
    {"device": "/dev/swap", "format": "swap", "path": "/x"},
    {"device": "/dev/none", "format": "none", "path": "/x"},
    {"device": "/dev/nowhere"},
    {"device": "tag", "format": "virtiofs", "path": "/var/lib/shared"},
)


def lines(blocks: Blocks) -> list[str]:
    return [" ".join(line).replace(str(blocks.bench.root), "ROOT") for line in blocks.runner.lines]


def notated(blocks: Blocks) -> list[str]:
    path = blocks.bench.folder / "run/state"
    return cast(list[str], json.loads(path.read_text())["notatedDirectories"]) if path.exists() else []


def test_the_outer_is_mounted_before_the_inner_and_what_has_no_place_not_at_all(blocks: Blocks) -> None:
    mount.run(blocks.job(NESTED))

    assert lines(blocks) == [
        "mount -t ext4 -o noatime,ro /dev/a ROOT/var",
        "mount -t ext4 /dev/c ROOT/var/lib/data",
        "mount -t virtiofs tag ROOT/var/lib/shared",
    ]


def test_missing_directories_are_made_and_remembered(blocks: Blocks) -> None:
    (blocks.bench.root / "var").mkdir()

    mount.run(blocks.job(NESTED))

    assert notated(blocks) == ["/var/lib", "/var/lib/data", "/var/lib/shared"]
    assert (blocks.bench.root / "var/lib/data").stat().st_mode & 0o777 == 0o755


def test_the_inner_is_unmounted_before_the_outer(blocks: Blocks) -> None:
    umount.run(blocks.job(NESTED))

    assert lines(blocks) == ["umount ROOT/var/lib/shared", "umount ROOT/var/lib/data", "umount ROOT/var"]


def test_one_that_cannot_be_unmounted_does_not_keep_the_others_mounted(blocks: Blocks) -> None:
    blocks.runner.on("umount", str(blocks.bench.root / "var/lib/data"), returncode=32)

    with pytest.raises(StorageError, match=r"var/lib/data \(/dev/c\)"):
        umount.run(blocks.job(NESTED))

    assert lines(blocks)[-1] == "umount ROOT/var"


@pytest.mark.parametrize(("kind", "text"), [("link", "var is a link"), ("file", "var is no directory")])
def test_a_place_that_is_not_all_directories_is_refused_before_anything_is_mounted(
    blocks: Blocks, kind: str, text: str
) -> None:
    target = blocks.bench.root / "var"
    if kind == "link":
        target.symlink_to("/tmp")
    else:
        target.touch()

    with pytest.raises(StorageError, match=rf"\$.storage.filesystems.1.path \(/var\): .*{text}"):
        mount.run(blocks.job(filesystems({"device": "/dev/a", "path": "/srv"}, {"device": "/dev/b", "path": "/var"})))

    assert lines(blocks) == []


def test_a_link_that_only_the_mounted_file_system_brings_is_refused_too(blocks: Blocks) -> None:
    inner = blocks.bench.root / "var/lib"
    blocks.runner.on("/dev/a", does=lambda _: inner.symlink_to("/tmp"))

    with pytest.raises(StorageError, match="var/lib is a link"):
        mount.run(blocks.job(NESTED))


def test_when_one_cannot_be_mounted_none_stays_mounted(blocks: Blocks) -> None:
    blocks.runner.on("mount", "/dev/c", returncode=32)

    with pytest.raises(CommandError):
        mount.run(blocks.job(NESTED))

    assert lines(blocks)[-2:] == ["mount -t ext4 /dev/c ROOT/var/lib/data", "umount ROOT/var"]


def test_a_place_that_cannot_be_made_leaves_none_mounted_either(
    blocks: Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def make_place(job: object, entry: dict[str, str]) -> list[str]:
        made.append(entry["path"])
        if len(made) > 1:
            raise OSError(30, "Read-only file system", entry["path"])
        return []

    monkeypatch.setattr(mounting, "make_place", make_place)
    with pytest.raises(OSError, match="Read-only"):
        mount.run(blocks.job(NESTED))

    assert lines(blocks)[-1] == "umount ROOT/var"


def test_what_would_be_done_can_be_told_without_doing_it(blocks: Blocks) -> None:
    job = blocks.job(NESTED)

    told = [line.replace(str(blocks.bench.root), "ROOT") for line in [*mount.plan(job), *umount.plan(job)]]

    assert told[0] == "mounting /dev/a (ext4) at ROOT/var with the options noatime,ro"
    assert told[-1] == "unmounting ROOT/var"
    assert lines(blocks) == []


def test_kernel_arguments_are_given_to_the_distributions_program(blocks: Blocks) -> None:
    config = {"kernelArguments": {"shouldExist": ["a=1", "b c"], "shouldNotExist": ["quiet"]}}

    kargs.run(blocks.job(config))

    assert blocks.runner.lines == [
        ["ignition-kargs-helper", "--should-exist", "a=1", "--should-exist", "b c", "--should-not-exist", "quiet"]
    ]
    assert kargs.plan(blocks.job(config)) == [
        "kernel argument a=1 is added where it is missing",
        "kernel argument b c is added where it is missing",
        "kernel argument quiet is removed",
    ]


def test_without_kernel_arguments_nothing_is_run(blocks: Blocks) -> None:
    kargs.run(blocks.job({"kernelArguments": {}}))

    assert blocks.runner.lines == []


def test_kernel_arguments_that_cannot_be_set_are_an_error(blocks: Blocks) -> None:
    blocks.runner.on("ignition-kargs-helper", returncode=1)

    with pytest.raises(KernelArgumentsError, match=r"\$.kernelArguments: they could not be set"):
        kargs.run(blocks.job({"kernelArguments": {"shouldExist": ["a"]}}))
