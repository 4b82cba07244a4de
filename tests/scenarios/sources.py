"""Where a node finds its config: each place that can be had without a cloud."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nestos.lab.scenario import Lab, scenario
from nestos.lab.spec import Disk, DiskFormat
from tests.scenarios.node import Node, spec
from tests.scenarios.provisioning import config

_NOTE = "/etc/scenario/source"


def document(lab: Lab, source: str) -> str:
    """A config that lets the lab in and notes ``source`` on the node."""
    users = [{"name": "nest", "sshAuthorizedKeys": [lab.equipment.identity.public]}]
    return json.dumps(config(files={_NOTE: f"{source}\n"}, passwd={"users": users}))


def boots_with_the_config_of(lab: Lab, source: str, *, disk: Path, more: tuple[Disk, ...] = ()) -> None:
    """Boots ``disk``, with nothing in fw_cfg, and checks that the config of ``source`` was applied."""
    machine = lab.machine(replace(spec("node", disk), fw_cfg=(), disks=more))
    node = Node(lab, machine)
    with lab.step("first boot"):
        node.start()
        node.wait_healthy()
    lab.check(node.read(_NOTE) == f"{source}\n", "the config was not applied")


@scenario("config-url-argument", minutes=3, needs=["base"], tags=["long"])
def a_config_comes_by_kernel_argument(lab: Lab) -> None:
    """``ignition.config.url`` on the kernel command line names the config."""
    server = lab.server(lab.folder)
    server.documents["/node.ign"] = document(lab, "argument").encode()

    def add(file: Path) -> None:
        text = file.read_text()
        lab.check("set kargs='" in text, f"slot.cfg has no kernel arguments: {text!r}")
        file.write_text(text.replace("set kargs='", f"set kargs='ignition.config.url={server.guest_url}/node.ign "))

    boots_with_the_config_of(lab, "argument", disk=with_boot_file(lab, "/slot-a/slot.cfg", change=add))


@scenario("config-in-initramfs", minutes=3, needs=["base"], tags=["long"])
def a_config_comes_in_the_initramfs(lab: Lab) -> None:
    """A ``user.ign`` in an archive behind the initramfs, as a PXE server sends it."""
    folder = lab.folder / "archive"
    (folder / "usr/lib/ignition").mkdir(parents=True)
    (folder / "usr/lib/ignition/user.ign").write_text(document(lab, "initramfs"))
    names = "usr\nusr/lib\nusr/lib/ignition\nusr/lib/ignition/user.ign\n"
    archive = lab.folder / "archive.cpio"
    box = lab.equipment.tools.with_binds(lab.folder)
    box(["cpio", "--create", "--quiet", "--format=newc", f"--file={archive}"], stdin=names, cwd=folder)

    def append(file: Path) -> None:
        with file.open("ab") as output:
            output.write(b"\0" * (-file.stat().st_size % 4) + archive.read_bytes())

    boots_with_the_config_of(lab, "initramfs", disk=with_boot_file(lab, "/slot-a/initramfs.img", change=append))


@scenario("config-drive", minutes=3, needs=["openstack"], tags=["long"])
def a_config_comes_on_a_drive(lab: Lab) -> None:
    """OpenStack's config drive: a disk labelled ``config-2`` with the user data on it."""
    drive = lab.folder / "drive.raw"
    data = lab.folder / "user_data"
    data.write_text(document(lab, "drive"))
    drive.touch()
    box = lab.equipment.tools.with_binds(lab.folder)
    box(["truncate", "--size=16M", str(drive)])
    box(["mkfs.vfat", "-n", "config-2", str(drive)])
    box(["mmd", "-i", str(drive), "::openstack", "::openstack/latest"])
    box(["mcopy", "-i", str(drive), str(data), "::openstack/latest/user_data"])
    more = (Disk(path=drive, format=DiskFormat.RAW, read_only=True),)
    boots_with_the_config_of(lab, "drive", disk=lab.disk("openstack", name="node"), more=more)


def with_boot_file(lab: Lab, path: str, *, change: Callable[[Path], None]) -> Path:
    """A raw copy of the base image in whose boot partition the file ``path`` was changed.

    It is changed with debugfs, as a person with the disk in another machine would.
    """
    raw = lab.folder / "changed.raw"
    box = lab.equipment.tools.with_binds(lab.folder, lab.images["base"].parent)
    box(["cp", "--sparse=always", str(lab.images["base"]), str(raw)], timeout_seconds=300)
    table = json.loads(box(["sfdisk", "--json", str(raw)]).stdout)["partitiontable"]
    (boot,) = (part for part in table["partitions"] if part.get("name") == "boot")
    device = f"{raw}?offset={boot['start'] * table.get('sectorsize', 512)}"
    changed = lab.folder / "changed"
    box(["debugfs", "-R", f"dump {path} {changed}", device])
    change(changed)
    commands = lab.folder / "debugfs.commands"
    commands.write_text(f"rm {path}\nwrite {changed} {path}\n")
    box(["debugfs", "-w", "-f", str(commands), device])
    return raw
