"""The script that opens /var, as it is, in a root of its own: files for /sys, /dev and /proc, programs that are told.

``/state/kind.NAME`` is what blkid says of a device. Time is ``/proc/uptime``; sleeping and waiting move it on.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import nestos
from nestos.host.process import Completed
from nestos.host.process import run as run_program

SCRIPT = Path(nestos.__file__).parent / "dist/dracut/35nestos/nestos-var"
BOUND = """1: sss '{"t":1,"pins":{"tpm2":[{"hash":"sha256"}]}}'"""
BOUND_TO_SERVER = """1: sss '{"t":2,"pins":{"tang":[{"url":"http://tang.example"}],"tpm2":[{"hash":"sha256"}]}}'"""

PASS = 'read -r now rest </proc/uptime; echo "$((${now%.*} + $1)).00 0.00" >/proc/uptime\n'
TOLD = 'echo "${0##*/} $*" >>/state/calls\n'
PROGRAMS = {
    "blkid": 'for device; do :; done; cat "/state/kind.${device##*/}" 2>/dev/null || exit 2',
    "sleep": PASS,
    # Waits for a link: as long as it is told if there is none.
    "udevadm": '[ "$1" = wait ] || exit 0\n[ ! -e "$3" ] || exit 0\nset -- "${2#--timeout=}"\n' + PASS + "exit 1",
    "sfdisk": TOLD + "cat >>/state/calls",
    "partx": TOLD,
    "e2fsck": TOLD,
    "systemctl": TOLD,
    "mdadm": TOLD + '[ "$1" = --run ] || { echo MD_UUID=1:2:3:4; exit; }\n/fake/start-array',
    "start-array": "ln -sf ../../../dev/md127 /dev/disk/by-id/md-uuid-1:2:3:4",
    "clevis": (
        TOLD + '[ "$2" != list ] || { cat /state/bound 2>/dev/null; exit; }\n'
        'read -r now rest </proc/uptime; [ "${now%.*}" -ge "$(cat /state/answers-at)" ] || '
        '{ echo "Error communicating with server" >&2; exit 1; }\n'
        "mkdir -p /sys/class/block/vda6/holders/dm-1"
    ),
}
TAKEN = ("cat", "sed", "readlink", "tr", "timeout", "mkdir", "ln")

if shutil.which("bwrap") is None:
    pytest.skip("bwrap is missing: apt-get install bubblewrap", allow_module_level=True)


class Initramfs:
    """A machine with the boot disk ``vda``, whose sixth partition is ``var``, on a disk that it does not fill."""

    def __init__(self, top: Path) -> None:
        self.top = top
        for folder in ("proc", "state", "usr", "fake", "run", "tmp", "dev/disk/by-partuuid", "dev/disk/by-id"):
            (top / folder).mkdir(parents=True)
        (top / "proc/cmdline").write_text("quiet nestos.slot=a nestos.var=1234\n")
        (top / "proc/uptime").write_text("5.00 1.00\n")
        for device in ("vda", "vda6", "md127", "dm-1", "vdb"):
            (top / "dev" / device).touch()
        (top / "dev/disk/by-partuuid/1234").symlink_to("../../vda6")
        self.block("vda", size=16000000)
        self.block("vda/vda6", partition=6, start=7000000, size=1000000)
        for name, text in PROGRAMS.items():
            self.program(name, text)
        for name in TAKEN:
            (top / "fake" / name).symlink_to(f"/usr/bin/{name}")
        shutil.copy(SCRIPT, top / "nestos-var")
        (top / "nestos-var").chmod(0o755)

    def block(self, place: str, **facts: int) -> None:
        folder = self.top / "sys/devices" / place
        (folder / "holders").mkdir(parents=True)
        for name, value in facts.items():
            (folder / name).write_text(f"{value}\n")
        link = self.top / "sys/class/block" / folder.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../../devices/{place}")

    def program(self, name: str, text: str) -> None:
        path = self.top / "fake" / name
        path.write_text(f"#!/usr/bin/sh\n{text}\n")
        path.chmod(0o755)

    def holds(self, **kinds: str) -> None:
        for device, kind in kinds.items():
            (self.top / f"state/kind.{device}").write_text(f"{kind}\n")

    def bound(self, text: str, *, answers_at: int) -> None:
        (self.top / "state/bound").write_text(text)
        (self.top / "state/answers-at").write_text(str(answers_at))

    def run(self, word: str = "open") -> Completed:
        for link in ("bin", "lib", "lib64"):
            (self.top / link).unlink(missing_ok=True)  # of a run before; bwrap makes them anew
        line = [
            "bwrap",
            "--bind",
            os.fspath(self.top),
            "/",
            "--ro-bind",
            "/usr",
            "/usr",
            "--symlink",
            "usr/bin",
            "/bin",
        ]
        line += ["--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--setenv", "PATH", "/fake"]
        return run_program([*line, "/nestos-var", word], accepted=range(256), timeout_seconds=300)

    @property
    def calls(self) -> list[str]:
        path = self.top / "state/calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def seconds(self) -> float:
        return float((self.top / "proc/uptime").read_text().split()[0]) - 5


@pytest.fixture
def initramfs(tmp_path: Path) -> Initramfs:
    return Initramfs(tmp_path / "root")


def test_a_plain_var_grows_and_is_checked(initramfs: Initramfs) -> None:
    initramfs.holds(vda6="ext4")
    done = initramfs.run()
    assert (done.returncode, done.stdout, initramfs.seconds) == (0, "/dev/vda6\n", 0)
    assert [call.split()[0] for call in initramfs.calls] == ["sfdisk", ",", "partx", "e2fsck"]
    assert "--partno 6 /dev/vda" in initramfs.calls[0]


def test_a_partition_that_cannot_grow_is_no_reason_not_to_boot(initramfs: Initramfs) -> None:
    initramfs.holds(vda6="ext4")
    initramfs.program("sfdisk", "exit 1")
    done = initramfs.run()
    assert (done.returncode, done.stdout) == (0, "/dev/vda6\n")
    assert "keeps its size" in done.stderr


def test_a_volume_that_the_first_boot_left_open_is_taken_as_it_is(initramfs: Initramfs) -> None:
    initramfs.holds(vda6="crypto_LUKS", **{"dm-1": "ext4"})
    initramfs.bound(BOUND, answers_at=10**6)
    (initramfs.top / "sys/devices/vda/vda6/holders/dm-1").mkdir()
    assert initramfs.run().stdout == "/dev/dm-1\n"
    assert not any(call.startswith("clevis luks unlock") for call in initramfs.calls)


def test_a_first_boot_ends_if_no_other_boot_could_open_what_it_made(initramfs: Initramfs) -> None:
    initramfs.holds(vda6="crypto_LUKS", **{"dm-1": "ext4"})
    (initramfs.top / "sys/devices/vda/vda6/holders/dm-1").mkdir()
    done = initramfs.run()
    assert (done.returncode, done.stdout) == (1, "")
    assert "neither a TPM nor a server is bound" in done.stderr


def test_a_tpm_unlocks_without_a_network(initramfs: Initramfs) -> None:
    initramfs.holds(vda6="crypto_LUKS", **{"dm-1": "ext4"})
    initramfs.bound(BOUND, answers_at=0)
    done = initramfs.run()
    assert (done.returncode, done.stdout, initramfs.seconds) == (0, "/dev/dm-1\n", 0)
    assert "clevis luks unlock -d /dev/vda6 -n var" in initramfs.calls
    assert not any(call.startswith("systemctl") for call in initramfs.calls)


def test_a_server_that_comes_late_is_waited_for_and_the_console_says_so(initramfs: Initramfs) -> None:
    initramfs.holds(vda6="crypto_LUKS", **{"dm-1": "ext4"})
    initramfs.bound(BOUND_TO_SERVER, answers_at=200)
    done = initramfs.run()
    assert (done.returncode, done.stdout) == (0, "/dev/dm-1\n")
    told = [line for line in done.stderr.splitlines() if "cannot be unlocked yet" in line]
    assert 5 <= len(told) <= 8
    assert told[0].endswith("trying for another 600 s: Error communicating with server")
    assert "systemctl start systemd-networkd.service" in initramfs.calls


@pytest.mark.parametrize(("bound", "seconds"), [(BOUND, 90), (BOUND_TO_SERVER, 600)], ids=["tpm", "server"])
def test_waiting_has_an_end(initramfs: Initramfs, bound: str, seconds: int) -> None:
    initramfs.holds(vda6="crypto_LUKS")
    initramfs.bound(bound, answers_at=10**6)
    done = initramfs.run()
    assert (done.returncode, done.stdout) == (1, "")
    assert f"/var stays locked after {seconds} s: Error communicating" in done.stderr
    assert seconds <= initramfs.seconds <= seconds + 10


def test_what_cannot_be_unlocked_at_all_is_said_at_once(initramfs: Initramfs) -> None:
    initramfs.holds(vda6="crypto_LUKS")
    done = initramfs.run()
    assert (done.returncode, initramfs.seconds) == (1, 0)
    assert "neither a TPM nor a server is bound" in done.stderr
    (initramfs.top / "fake/clevis").unlink()
    done = initramfs.run()
    assert (done.returncode, initramfs.seconds) == (1, 0)
    assert "this release has no clevis" in done.stderr


def test_a_whole_array_is_taken_as_udev_assembled_it_and_does_not_grow(initramfs: Initramfs) -> None:
    initramfs.holds(vda6="linux_raid_member", md127="ext4")
    initramfs.program("udevadm", "/fake/start-array")
    done = initramfs.run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "/dev/md127\n", "")
    assert [call.split()[0] for call in initramfs.calls] == ["mdadm", "e2fsck"]


def test_an_array_starts_without_the_disk_that_stays_away(initramfs: Initramfs) -> None:
    initramfs.holds(vda6="linux_raid_member", md127="crypto_LUKS", **{"dm-1": "ext4"})
    initramfs.bound(BOUND, answers_at=0)
    (initramfs.top / "sys/devices/vda/vda6/holders/md127").mkdir()
    initramfs.block("md127")
    (initramfs.top / "sys/devices/md127/holders/dm-1").mkdir()
    done = initramfs.run()
    assert (done.returncode, done.stdout, initramfs.seconds) == (0, "/dev/dm-1\n", 30)
    assert "lacks a disk; it starts without" in done.stderr
    assert "mdadm --run /dev/md127" in initramfs.calls


@pytest.mark.parametrize("kind", ["", "swap"])
def test_something_else_on_the_partition_ends_the_boot_with_a_reason(initramfs: Initramfs, kind: str) -> None:
    initramfs.holds(**({"vda6": kind} if kind else {}))
    done = initramfs.run()
    assert (done.returncode, done.stdout) == (1, "")
    assert f"/dev/vda6 holds {kind or 'nothing'}, where the file system of /var should be" in done.stderr


@pytest.mark.parametrize(
    ("storage", "grows"),
    [
        ({}, True),
        ({"luks": [{"name": "var", "device": "/dev/vda6"}]}, True),
        ({"disks": [{"device": "/dev/vdb"}], "files": [{"path": "/dev/no such/place"}]}, True),
        ({"disks": [{"device": "/dev/disk/by-id/boot"}]}, False),
    ],
    ids=["nothing about disks", "an encrypted var", "another disk", "the boot disk by another name"],
)
def test_var_gets_the_rest_of_the_disk_first_unless_the_config_lays_out_the_boot_disk(
    initramfs: Initramfs, storage: dict[str, object], grows: bool
) -> None:
    (initramfs.top / "dev/disk/by-id/boot").symlink_to("../../vda")
    (initramfs.top / "run/ignition.json").write_text(json.dumps({"storage": storage}))
    assert initramfs.run("room").returncode == 0
    assert any(call.startswith("sfdisk") for call in initramfs.calls) is grows
