"""Power cuts in the middle of a first boot: the next one provisions the node from the beginning, and it is whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from nestos.lab.scenario import Lab, scenario
from nestos.lab.spec import Disk, DiskFormat
from tests.scenarios.node import BOOT_SECONDS, STOPPED, Node, spec
from tests.scenarios.power_cut import off_and_on
from tests.scenarios.prepared import CLUSTER_BYTES

_MANY = 300
_NOTES = {
    "/etc/scenario/note": "in etc\n",
    "/var/lib/scenario/note": "in var\n",
    "/var/lib/secret/note": "on a volume whose key nobody else has\n",
    "/var/lib/plain/note": "on a partition\n",
    "/var/lib/kept/note": "beside a user's file\n",
}
_MINE = "/var/lib/kept/mine"
_FAST = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]

LAST = "end"
MOMENTS = {
    "volume": r"\[started\].*the volume secret",
    "filesystems": r"\[started\].*a file system of the format",
    "files": rf"\[finished\] writing file .*/many/{_MANY // 2}\b",
    LAST: r"\[finished\] writing the preset",
}
"""Name of a moment to what is on the console then. Behind the last one the first boot may be over before the cut."""


def _filesystem(device: str, path: str, **more: Any) -> dict[str, Any]:
    return {"device": device, "path": path, "format": "ext4", **more}


def _config() -> dict[str, Any]:
    """Nothing in it may be overwritten or wiped."""
    files = {**_NOTES, **{f"/var/lib/scenario/many/{number}": "x" * 4000 for number in range(_MANY)}}
    mounted = {
        "secret": "/dev/mapper/secret",
        "plain": "/dev/disk/by-partlabel/plain",
        "kept": "/dev/disk/by-label/kept",
    }
    units = [
        {
            "name": f"var-lib-{name}.mount",
            "enabled": True,
            "contents": f"[Mount]\nWhat={device}\nWhere=/var/lib/{name}\n[Install]\nRequiredBy=local-fs.target\n",
        }
        for name, device in mounted.items()
    ]
    return {
        "ignition": {"version": "3.4.0"},
        "passwd": {"users": [{"name": "ada"}]},
        "storage": {
            "disks": [
                {
                    "device": "/dev/disk/by-id/virtio-data",
                    "partitions": [{"label": "plain", "number": 1, "sizeMiB": 64}, {"label": "secret", "number": 2}],
                }
            ],
            "luks": [{"name": "secret", "device": "/dev/disk/by-partlabel/secret", "options": _FAST}],
            "filesystems": [
                _filesystem(device, f"/var/lib/{name}", **({"label": "kept"} if name == "kept" else {}))
                for name, device in mounted.items()
            ],
            "files": [{"path": path, "contents": {"source": f"data:,{text}"}} for path, text in _encoded(files)],
        },
        "systemd": {"units": units},
    }


def _encoded(files: dict[str, str]) -> list[tuple[str, str]]:
    return [(path, text.replace(" ", "%20").replace("\n", "%0A")) for path, text in files.items()]


def _kept_disk(lab: Lab, *, name: str) -> Path:
    """A disk with a user's file."""
    folder = lab.folder / f"{name}-files"
    folder.mkdir()
    (folder / "mine").write_text("a user's\n")
    raw = lab.folder / f"{name}-kept.raw"
    box = lab.equipment.tools.with_binds(lab.folder)
    box(["truncate", "--size=64M", str(raw)])
    box(["mkfs.ext4", "-q", "-L", "kept", "-d", str(folder), str(raw)])
    return raw


def _cut(lab: Lab, moment: str) -> None:
    disks = (
        Disk(path=lab.empty_disk(f"{moment}-data", size="256M"), format=DiskFormat.QCOW2, serial="data"),
        Disk(path=_kept_disk(lab, name=moment), format=DiskFormat.RAW, serial="kept"),
    )
    image = lab.disk("base", name=moment, cluster_bytes=CLUSTER_BYTES)
    victim = Node(lab, lab.machine(replace(spec(moment, image), disks=disks), config=_config()))
    victim.machine.start()
    victim.machine.wait_for_console(MOMENTS[moment], timeout_seconds=BOOT_SECONDS, failing=STOPPED)
    node = off_and_on(lab, victim)
    node.wait_for_ssh()
    node.wait_healthy()
    is_first = "ignition.firstboot" in node.read("/proc/cmdline").split()
    lab.facts[f"{moment}_was_within_the_first_boot"] = is_first
    lab.check(is_first or moment == LAST, f"{moment}: the cut came after the first boot")
    for path, text in _NOTES.items():
        lab.check(node.read(path) == text, f"{moment}: {path} is {node.read(path)!r}")
    lab.check(node.read(_MINE) == "a user's\n", f"{moment}: the user's file is gone")
    sizes = node.output("stat -c %s /var/lib/scenario/many/* | sort | uniq -c")
    lab.check(sizes.split() == [str(_MANY), "4000"], f"{moment}: the sizes of many files are {sizes}")
    lab.check(node.output("stat -c %U /home/ada") == "ada", f"{moment}: the home is not the user's")
    left = node.output("find /var/lib /var/home -xdev -name '.ignition.*'")
    lab.check(left == "", f"{moment}: temporary files are left: {left}")
    lab.check(node.failed_units() == [], f"{moment}: failed units {node.failed_units()}")
    node.machine.close()


@scenario("first-boot-power-cut", minutes=10, needs=["base"], tags=["long"])
def a_first_boot_survives_power_cuts(lab: Lab) -> None:
    """Power cut at 4 moments of a first boot that writes to /etc, /var and data disks: the next one provisions it."""
    for moment in MOMENTS:
        with lab.step(f"cut at: {moment}"):
            _cut(lab, moment)
