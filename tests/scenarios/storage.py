"""Disks other than the node's own: partitions, arrays, encrypted volumes and file systems, made on first boot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nestos.lab import provision
from nestos.lab.scenario import Lab, scenario
from nestos.lab.spec import Disk, DiskFormat
from tests.scenarios.node import Node, spec

_CONFIG = Path(__file__).parent / "configs/storage.bu"
_NOTES = {
    "/var/lib/mirror/private/note": "on the array\n",
    "/var/lib/secret/note": "on the encrypted volume\n",
    "/var/lib/plain/note": "on the plain partition\n",
}


@scenario("storage", minutes=8, needs=["container"])
def makes_disks_as_the_config_says(lab: Lab) -> None:
    """Partitions, RAID, LUKS, file systems, swap and kernel arguments of a config, there after a restart too."""
    disks = tuple(
        Disk(path=lab.empty_disk(name, size="512M"), format=DiskFormat.QCOW2, serial=name)
        for name in ("one", "two", "three")
    )
    machine = replace(spec("node", lab.disk("container", name="node")), disks=disks)
    node = Node(lab, lab.machine(machine, config=provision.from_butane(_CONFIG)))
    with lab.step("first boot"):
        node.start()
        node.wait_healthy()
        check_storage(lab, node)
    with lab.step("second boot"):
        node.reboot()
        check_storage(lab, node)


def check_storage(lab: Lab, node: Node) -> None:
    """What the config asks for is there and in use."""
    for path, text in _NOTES.items():
        lab.check(node.read(path) == text, f"{path} is {node.read(path)!r}")
    lab.check(node.output("stat -c %a /var/lib/mirror/private") == "700", "the directory has another mode")
    mirror = node.output("mdadm --detail --export /dev/md/mirror")
    lab.check("MD_LEVEL=raid1" in mirror and "MD_DEVICES=2" in mirror, f"the array: {mirror}")
    lab.check(node.output("findmnt -no SOURCE /var/lib/mirror").startswith("/dev/md"), "the array is not mounted")
    lab.check(node.output("findmnt -no SOURCE /var/lib/secret") == "/dev/mapper/secret", "the volume is not mounted")
    lab.check(node.output("lsblk -no FSTYPE /dev/disk/by-partlabel/secret | head -1") == "crypto_LUKS", "no LUKS")
    lab.check(node.output("findmnt -no FSTYPE /var/lib/plain") == "vfat", "the plain partition is not mounted")
    lab.check(node.output("swapon --show --noheadings --raw") != "", "there is no swap")
    words = node.read("/proc/cmdline").split()
    lab.check("scenario.wanted=yes" in words and "loglevel=4" not in words, f"the kernel's arguments are {words}")
    lab.check(node.failed_units() == [], f"failed units: {node.failed_units()}")
