from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import pytest

from nestos.base.clock import SystemClock
from nestos.base.errors import CommandError, NestosError, StateError
from nestos.host.process import Completed
from nestos.slots import hardware
from nestos.slots.bootstate import Slot
from nestos.slots.hardware import BlockPartition, BootFolder, EnvironmentFile

COMMAND_LINE = "root=/dev/mapper/root ro nestos.slot=b nestos.boot=1-2 nestos.var=5-6 nestos.passive=3-4 panic=10\n"


def test_the_devices_are_those_that_grub_named(tmp_path: Path) -> None:
    node = hardware.node(COMMAND_LINE, devices=tmp_path)
    assert node == hardware.Node(booted=Slot.B, boot=tmp_path / "1-2", passive=tmp_path / "3-4")


@pytest.mark.parametrize("missing", ["nestos.slot=b", "nestos.boot=1-2", "nestos.passive=3-4"])
def test_another_system_is_not_taken_for_a_node(missing: str) -> None:
    with pytest.raises(StateError, match="not booted from a NestOS slot"):
        hardware.node(COMMAND_LINE.replace(missing, ""))


def test_a_partition_returns_what_was_written_to_it(tmp_path: Path) -> None:
    path = tmp_path / "partition"
    path.write_bytes(bytes(64 * 1024))
    partition = BlockPartition(path)
    data = os.urandom(20000)
    partition.write(4096, data)
    partition.flush()
    assert partition.size == 64 * 1024
    assert partition.read(4096, 20000) == data
    assert partition.read(5000, 10) == data[904:914]
    assert partition.read(64 * 1024 - 100, 500) == bytes(100)
    partition.close()


def test_a_partition_that_is_not_there_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(NestosError, match="missing"):
        BlockPartition(tmp_path / "missing").flush()


def test_files_of_the_boot_partition(tmp_path: Path) -> None:
    boot = BootFolder(tmp_path)
    boot.write_file("slot-b/vmlinuz", io.BytesIO(b"long kernel"))
    boot.write_file("slot-b/vmlinuz", io.BytesIO(b"kernel"))
    boot.write_file("slot-b/initramfs.img", io.BytesIO(b"initramfs"))
    assert boot.read("slot-b/vmlinuz") == b"kernel"
    assert (boot.size("slot-b/vmlinuz"), boot.size("nothing")) == (6, 0)
    assert boot.read("nothing") is None
    digest = boot.digest("slot-b/vmlinuz", "slot-b/initramfs.img", "nothing")
    assert digest == hashlib.sha256(b"kernelinitramfs").hexdigest()
    assert boot.free_bytes() > 0


def test_the_environment_block_is_overwritten_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "grub" / "grubenv"
    path.parent.mkdir()
    path.write_bytes(b"#" * 1024)
    before = path.stat().st_ino
    environment = EnvironmentFile(tmp_path)
    environment.write(b"x" * 1024)
    environment.flush()
    assert environment.read() == b"x" * 1024
    assert path.stat().st_ino == before


@pytest.mark.parametrize("content", [None, b"", b"#" * 1000])
def test_a_missing_or_truncated_environment_block_is_made_anew_and_shown_to_grub(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emptied: list[Path] = []
    monkeypatch.setattr("nestos.slots.syscalls.empty_journal", emptied.append)
    if content is not None:
        (tmp_path / "grub").mkdir()
        (tmp_path / "grub" / "grubenv").write_bytes(content)
    environment = EnvironmentFile(tmp_path)
    assert environment.read() == (content or b"")
    environment.write(b"x" * 1024)
    environment.flush()
    environment.flush()
    assert environment.read() == b"x" * 1024
    assert emptied == [tmp_path]


class Ticks(SystemClock):
    """A clock that only moves when someone sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Mounts:
    """Records mounts; the first ``refused`` of them fail."""

    def __init__(self, *, refused: int = 0) -> None:
        self.lines: list[str] = []
        self._refused = refused

    def __call__(self, command: Any, /, **options: Any) -> Completed:
        words = [str(word) for word in command]
        self.lines.append(" ".join(word for word in words if not word.startswith(("/", "--types"))))
        if words[0] == "mount" and self._refused:
            self._refused -= 1
            raise CommandError("busy", returncode=32, output="")
        return Completed(returncode=0, stdout="", stderr="")


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(hardware, "_RUN", tmp_path)
    return tmp_path


def test_the_boot_partition_is_unmounted_also_after_an_error(run_folder: Path) -> None:
    mounts = Mounts()
    with (
        pytest.raises(ZeroDivisionError),
        hardware.mounted(Path("/dev/boot"), runner=mounts, clock=Ticks()) as place,
    ):
        assert place.parent == run_folder
        assert place.stat().st_mode & 0o777 == 0o700
        raise ZeroDivisionError
    assert mounts.lines == ["mount --options=rw,nosuid,nodev,noexec", "umount"]
    assert list(run_folder.iterdir()) == []


def test_a_reader_mounts_as_a_writer_that_is_there_and_a_writer_waits_for_readers(run_folder: Path) -> None:
    reading, writing = Mounts(refused=1), Mounts(refused=3)
    with hardware.mounted(Path("/dev/boot"), runner=reading, clock=Ticks(), writable=False):
        pass
    with hardware.mounted(Path("/dev/boot"), runner=writing, clock=Ticks()):
        pass
    modes = [[line.split("=")[1][:2] for line in it.lines if "=" in line] for it in (reading, writing)]
    assert modes == [["ro", "rw"], ["rw", "rw", "rw", "rw"]]


def test_a_boot_partition_that_stays_busy_is_an_error_and_leaves_no_folder(run_folder: Path) -> None:
    with (
        pytest.raises(CommandError),
        hardware.mounted(Path("/dev/boot"), runner=Mounts(refused=10000), clock=Ticks()),
    ):
        pass
    assert list(run_folder.iterdir()) == []


def test_what_a_killed_process_left_mounted_is_unmounted_first(run_folder: Path) -> None:
    (run_folder / "boot.4194305.x").mkdir()  # above the kernel's largest process id
    (run_folder / f"boot.{os.getpid()}.x").mkdir()
    mounts = Mounts()
    with hardware.mounted(Path("/dev/boot"), runner=mounts, clock=Ticks()):
        pass
    assert [line.split()[0] for line in mounts.lines] == ["umount", "mount", "umount"]
    assert [path.name for path in run_folder.iterdir()] == [f"boot.{os.getpid()}.x"]
