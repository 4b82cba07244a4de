from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nestos.lab.spec import (
    IGNITION_CONFIG,
    Accelerator,
    Cache,
    Disk,
    DiskFormat,
    Firmware,
    Forward,
    MachineSpec,
    Places,
    command_line,
)

TCG = Accelerator(name="tcg", argument="tcg,thread=multi", cpu="max")
PLACES = Places(folder=Path("/logs"), sockets=Path("/s"))
SPEC = MachineSpec(name="one", image=Path("/images/node.qcow2"))


def line_of(spec: MachineSpec) -> list[str]:
    return command_line(spec, accelerator=TCG, places=PLACES)


def values(line: list[str], option: str) -> list[str]:
    return [line[index + 1] for index, word in enumerate(line) if word == option]


def test_the_whole_command_line_of_a_plain_machine() -> None:
    assert " ".join(line_of(SPEC)) == (
        "qemu-system-x86_64 -name one -nodefaults -no-user-config -display none"
        " -machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m 2048M -rtc base=utc"
        " -qmp unix:/s/qmp,server=on,wait=off"
        " -chardev socket,id=console,path=/s/console,server=on,wait=off,logfile=/logs/serial.log,logappend=on"
        " -serial chardev:console"
        " -drive if=none,id=disk0,file=/images/node.qcow2,format=qcow2,cache=writeback,discard=unmap"
        " -device virtio-blk-pci,drive=disk0,serial=boot,bootindex=1"
        " -object rng-random,id=rng0,filename=/dev/urandom -device virtio-rng-pci,rng=rng0"
        " -device i6300esb -action watchdog=reset"
        " -netdev user,id=net0,hostfwd=tcp:127.0.0.1:0-:22 -device virtio-net-pci,netdev=net0,romfile="
    )


def test_uefi_has_code_that_is_read_only_and_variables_of_its_own() -> None:
    drives = values(line_of(replace(SPEC, firmware=Firmware.UEFI)), "-drive")
    assert drives[0] == "if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"
    assert drives[1] == "if=pflash,unit=1,format=raw,file=/logs/uefi-variables.fd"


def test_a_machine_of_aarch64_has_a_board_firmware_and_tpm_of_its_own() -> None:
    line = line_of(replace(SPEC, architecture="aarch64", firmware=Firmware.UEFI, tpm=Path("/t")))
    assert line[0] == "qemu-system-aarch64"
    assert values(line, "-machine") == ["virt,gic-version=3"]
    assert "AAVMF_CODE.no-secboot.fd" in values(line, "-drive")[0]
    assert "tpm-tis-device,tpmdev=tpm0" in values(line, "-device")


def test_disks_come_in_order_each_with_its_format_and_cache() -> None:
    extra = Disk(path=Path("/d/data.raw"), format=DiskFormat.RAW, serial="data", cache=Cache.UNSAFE)
    fixed = Disk(path=Path("/d/fixed.raw"), format=DiskFormat.RAW, read_only=True)
    line = line_of(replace(SPEC, disks=(extra, fixed)))
    assert [drive.partition(",")[2] for drive in values(line, "-drive")][1:] == [
        "id=disk1,file=/d/data.raw,format=raw,cache=unsafe,discard=unmap",
        "id=disk2,file=/d/fixed.raw,format=raw,cache=writeback,readonly=on",
    ]
    assert "virtio-blk-pci,drive=disk1,serial=data,bootindex=2" in line
    assert "virtio-blk-pci,drive=disk2,serial=disk2,bootindex=3" in line


def test_a_comma_in_a_path_is_doubled() -> None:
    line = line_of(replace(SPEC, image=Path("/a,b/node.raw"), fw_cfg=((IGNITION_CONFIG, Path("/c,d/config")),)))
    assert any("file=/a,,b/node.raw," in word for word in line)
    assert "name=opt/com.coreos/config,file=/c,,d/config" in line


def test_ports_are_forwarded_from_loopback_only() -> None:
    line = line_of(replace(SPEC, forwards=(Forward(guest=22), Forward(guest=80, host=8080))))
    (netdev,) = values(line, "-netdev")
    assert netdev == "user,id=net0,hostfwd=tcp:127.0.0.1:0-:22,hostfwd=tcp:127.0.0.1:8080-:80"


def test_what_is_switched_off_is_not_there() -> None:
    line = line_of(replace(SPEC, has_nic=False, has_rng=False, has_watchdog=False))
    assert values(line, "-nic") == ["none"]
    assert not any(word.startswith(("virtio-rng", "i6300esb", "virtio-net")) for word in line)


def test_a_kernel_boots_directly_without_any_disk() -> None:
    spec = MachineSpec(name="k", kernel=Path("/k"), initrd=Path("/i"), kernel_arguments="console=ttyS0 quiet")
    line = line_of(spec)
    assert values(line, "-kernel") == ["/k"]
    assert values(line, "-initrd") == ["/i"]
    assert values(line, "-append") == ["console=ttyS0 quiet"]
    assert values(line, "-drive") == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cpu": "Haswell"}, ["-cpu", "Haswell"]),
        ({"stops_on_reboot": True}, ["-action", "reboot=shutdown"]),
        ({"load_state": "ready"}, ["-loadvm", "ready"]),
        ({"serial_log": Path("/elsewhere/console.log")}, ["-serial", "chardev:console"]),
    ],
    ids=["cpu", "stops on reboot", "resumes a state", "another log"],
)
def test_options_reach_qemu(change: dict[str, object], words: list[str]) -> None:
    line = line_of(replace(SPEC, **change))  # type: ignore[arg-type]
    assert words in [line[index : index + 2] for index in range(len(line))]
    assert ("logfile=/elsewhere/console.log" in " ".join(line)) == ("serial_log" in change)


@pytest.mark.parametrize(("name", "expected"), [("a.qcow2", "qcow2"), ("a.raw", "raw"), ("a", "raw")])
def test_the_format_follows_from_the_suffix(name: str, expected: str) -> None:
    assert DiskFormat.of(Path(name)) == expected


def test_every_file_that_qemu_opens_is_listed() -> None:
    spec = replace(
        SPEC,
        disks=(Disk(path=Path("/d/x.raw"), format=DiskFormat.RAW),),
        fw_cfg=(("n", Path("/c/f")),),
        kernel=Path("/k"),
        initrd=Path("/i"),
        serial_log=Path("/l/s"),
    )
    assert [str(path) for path in spec.files()] == ["/images/node.qcow2", "/d/x.raw", "/c/f", "/k", "/i", "/l/s"]


def test_a_machine_has_a_tpm_only_if_there_is_a_place_for_its_memory() -> None:
    line = line_of(replace(SPEC, tpm=Path("/logs/tpm")))
    assert "socket,id=tpm,path=/s/tpm" in values(line, "-chardev")
    assert values(line, "-tpmdev") == ["emulator,id=tpm0,chardev=tpm"]
    assert "tpm-crb,tpmdev=tpm0" in values(line, "-device")
    assert values(line_of(SPEC), "-tpmdev") == []
