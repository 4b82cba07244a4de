from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from nestos.base.errors import InputError
from nestos.cli import run
from nestos.lab.registry import Running
from nestos.lab.spec import Firmware, Forward
from nestos.lab.ssh import Identity


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nestos")
    run.register(parser.add_subparsers())
    return parser.parse_args(["run", *words])


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "node.qcow2"
    path.touch()
    return path


def test_an_image_alone_is_enough(image: Path) -> None:
    options = parse(str(image))
    spec = run.spec_of(options, name=run.name_of(options), extra_disks=(), config=None)
    assert (spec.name, spec.image, spec.firmware, spec.memory_mib, spec.cores) == ("node", image, "bios", 2048, 2)
    assert spec.forwards == (Forward(guest=22),)
    assert not spec.snapshot


def test_every_option_reaches_the_machine(image: Path, tmp_path: Path) -> None:
    (tmp_path / "value").touch()
    options = parse(
        str(image), "--firmware=uefi", "--memory=4G", "--cores=4", "--snapshot", "--cpu=Haswell", "--name=one",
        "--forward=8080:80", "--forward=443", f"--fw-cfg=opt/x={tmp_path / 'value'}",
    )  # fmt: skip
    spec = run.spec_of(options, name="one", extra_disks=[tmp_path / "extra1.qcow2"], config=("c", tmp_path / "c"))
    assert (spec.firmware, spec.memory_mib, spec.cores, spec.cpu, spec.snapshot) == (
        Firmware.UEFI,
        4096,
        4,
        "Haswell",
        True,
    )
    assert spec.forwards == (Forward(guest=22), Forward(guest=80, host=8080), Forward(guest=443))
    assert spec.fw_cfg == (("c", tmp_path / "c"), ("opt/x", tmp_path / "value"))
    assert [(disk.path.name, disk.serial) for disk in spec.disks] == [("extra1.qcow2", "extra1")]


def test_a_machine_of_another_architecture_boots_by_uefi(image: Path) -> None:
    spec = run.spec_of(parse(str(image), "--arch=aarch64"), name="node", extra_disks=(), config=None)
    assert (spec.architecture, spec.firmware) == ("aarch64", "uefi")
    with pytest.raises(InputError, match="has no BIOS"):
        run.spec_of(parse(str(image), "--arch=aarch64", "--firmware=bios"), name="node", extra_disks=(), config=None)


def test_ssh_on_a_port_of_ones_own_is_forwarded_once(image: Path) -> None:
    options = parse(str(image), "--forward=2222:22")
    assert run.spec_of(options, name="n", extra_disks=(), config=None).forwards == (Forward(guest=22, host=2222),)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "no IMAGE was given"),
        (["/none/node.qcow2"], "there is no file /none/node.qcow2"),
        (["IMAGE", "--append=quiet"], "need --kernel"),
        (["IMAGE", "--fw-cfg=opt/x"], "expected NAME=FILE"),
    ],
    ids=["no image", "no such image", "words without a kernel", "half a pair"],
)
def test_what_does_not_go_together_is_refused(words: list[str], sentence: str, image: Path) -> None:
    options = parse(*(str(image) if word == "IMAGE" else word for word in words))
    with pytest.raises(InputError, match=sentence):
        run.spec_of(options, name="n", extra_disks=(), config=None)


@pytest.mark.parametrize(("text", "size"), [("512", 512), ("512M", 512), ("2G", 2048), ("2GiB", 2048), ("3gb", 3072)])
def test_sizes(text: str, size: int) -> None:
    assert run.mebibytes(text) == size


@pytest.mark.parametrize("text", ["", "0", "2T", "-1", "1.5G"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no size"):
        run.mebibytes(text)


@pytest.mark.parametrize("text", ["http", "8080:", "0", "80:70000", "a:80", "-1:80"])
def test_what_is_no_port(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        run.forward(text)


def test_a_name_that_is_no_file_name_is_refused() -> None:
    with pytest.raises(InputError, match="cannot name a machine"):
        run.name_of(parse("--name=../x"))


def test_the_way_in_is_a_command_to_paste() -> None:
    running = Running(
        name="one",
        pid=1,
        started="1",
        image="i",
        qmp="q",
        console="c",
        serial_log="/logs/serial.log",
        ports={"22": 2200, "80": 8080},
    )
    text = run.way_in(running, key=Identity(private=Path("/cache/id"), public="k"))
    assert text.startswith("ssh:      ssh -F /dev/null -i /cache/id -p 2200 ")
    assert "port 80: 127.0.0.1:8080" in text
    assert "nestos run --attach=one" in text
    assert "/logs/serial.log" in text


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--help")
    assert "nestos run node.qcow2 --butane=node.bu" in capsys.readouterr().out
