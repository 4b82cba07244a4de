from __future__ import annotations

import struct
from pathlib import Path

import pytest

from nestos.base.errors import InputError
from nestos.lab.disks import backing_chain, backing_file


def qcow2(path: Path, *, backing: str = "") -> Path:
    name = backing.encode()
    header = b"QFI\xfb" + struct.pack(">IQI", 3, 512 if name else 0, len(name))
    path.write_bytes(header.ljust(512, b"\0") + name)
    return path


def test_a_raw_disk_stands_alone(tmp_path: Path) -> None:
    disk = tmp_path / "a.raw"
    disk.write_bytes(b"\xeb\x63" * 300)
    assert backing_file(disk) is None
    assert backing_chain(disk) == [disk]


def test_an_empty_file_stands_alone(tmp_path: Path) -> None:
    (tmp_path / "a.raw").touch()
    assert backing_file(tmp_path / "a.raw") is None


def test_a_chain_is_followed_to_its_end(tmp_path: Path) -> None:
    base = tmp_path / "base.raw"
    base.write_bytes(bytes(1024))
    middle = qcow2(tmp_path / "middle.qcow2", backing=str(base))
    top = qcow2(tmp_path / "top.qcow2", backing="middle.qcow2")
    assert backing_chain(top) == [top, middle, base]


def test_a_loop_is_refused(tmp_path: Path) -> None:
    qcow2(tmp_path / "a.qcow2", backing="b.qcow2")
    qcow2(tmp_path / "b.qcow2", backing="a.qcow2")
    with pytest.raises(InputError, match="form a loop"):
        backing_chain(tmp_path / "a.qcow2")
