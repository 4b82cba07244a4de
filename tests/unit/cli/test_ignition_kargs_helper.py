"""The program that changes kernel arguments for Ignition."""

from __future__ import annotations

import ast
import io
import json
from pathlib import Path
from types import ModuleType

import pytest

from nestos.cli import ignition_kargs_helper
from nestos.cli.ignition_kargs_helper import Surroundings, parse, program
from nestos.slots import kargs
from tests.unit.host.scripted import Call, Scripted

RECORD = {
    "version": "1",
    "commit": "c" * 64,
    "root_hash": "a" * 64,
    "hash_offset": 4096,
    "image_size": 8192,
    "kernel_digest": "d" * 64,
    "ref": "r",
    "kargs": ["quiet"],
    "timestamp": "",
}
CONFIG = f"set roothash={'a' * 64}\nset hash_offset=4096\nset kargs=quiet\nset version=1\n"


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.slept = 0.0

    def monotonic(self) -> float:
        return self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


class Bench:
    """A node whose boot partition is a folder, seen while it is mounted."""

    def __init__(self, folder: Path) -> None:
        self.runner, self.clock, self.output = Scripted(), Clock(), io.StringIO()
        self.boot = folder / "boot"
        (self.boot / "slot-a").mkdir(parents=True)
        (self.boot / "slot-a/slot.cfg").write_text(CONFIG)
        (self.boot / "slot-a/deployment.json").write_text(json.dumps(RECORD))
        self.command_line = folder / "cmdline"
        self.command_line.write_text("nestos.slot=a nestos.boot=b-uuid\n")
        self.runner.on("mount", does=self._mount)
        self.runner.on("umount", does=lambda call: (Path(call.line[-1]) / "slot-a").unlink())

    def _mount(self, call: Call) -> None:
        (Path(call.line[-1]) / "slot-a").symlink_to(self.boot / "slot-a")

    def run(self, *arguments: str) -> int:
        machine = Surroundings(
            command_line=self.command_line,
            place=self.command_line.with_name("place"),
            runner=self.runner,
            clock=self.clock,  # type: ignore[arg-type]
        )
        return program(arguments, machine=machine, output=self.output)

    @property
    def config(self) -> str:
        return (self.boot / "slot-a/slot.cfg").read_text()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_arguments_are_taken_in_both_forms() -> None:
    assert parse(["--should-exist", "a=1", "--should-not-exist=b=2", "--should-exist=c"]) == (["a=1", "c"], ["b=2"])


def test_a_change_is_written_to_the_running_slot_and_the_machine_started_again(bench: Bench) -> None:
    assert bench.run("--should-exist", "debug") == 1

    assert "set kargs='quiet debug'" in bench.config
    _, mount, umount, restart = bench.runner.lines
    assert mount[3] == "/dev/disk/by-partuuid/b-uuid"
    assert umount[0] == "umount"
    assert restart == ["systemctl", "--force", "reboot"]


def test_a_machine_that_does_not_start_again_fails_the_stage(bench: Bench) -> None:
    assert bench.run("--should-exist", "debug") == 1

    assert bench.clock.slept == 120
    assert "did not start again within 120 s" in bench.output.getvalue()


def test_without_a_change_the_boot_goes_on(bench: Bench) -> None:
    assert bench.run("--should-exist", "quiet", "--should-not-exist", "debug") == 0

    assert bench.config == CONFIG
    assert [line[0] for line in bench.runner.lines] == ["udevadm", "mount", "umount"]


@pytest.mark.parametrize("arguments", [["--what"], ["--should-exist"], ["word"]])
def test_a_wrong_command_line_changes_nothing(bench: Bench, arguments: list[str]) -> None:
    assert bench.run(*arguments) == 2

    assert bench.runner.lines == []


def test_a_system_that_is_no_node_is_told_so(bench: Bench) -> None:
    bench.command_line.write_text("root=/dev/sda1\n")

    assert bench.run("--should-exist", "debug") == 1
    assert "not booted from a NestOS slot" in bench.output.getvalue()


def test_the_boot_partition_does_not_stay_mounted_when_it_holds_no_record(bench: Bench) -> None:
    (bench.boot / "slot-a/deployment.json").unlink()

    assert bench.run("--should-exist", "debug") == 1

    assert [line[0] for line in bench.runner.lines] == ["udevadm", "mount", "umount"]
    assert "no usable record of slot a" in bench.output.getvalue()


@pytest.mark.parametrize("module", [ignition_kargs_helper, kargs], ids=lambda module: module.__name__)
def test_little_comes_into_the_initramfs_for_it(module: ModuleType) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert not imported & {"nestos.slots.hardware", "nestos.slots.install", "nestos.slots.syscalls"}
