"""Live media: systems that run from an ISO or over the network and touch no disk, and installations without a person.

The ISO is attached as a disk, as a USB stick is. An installation fetches nothing: the machine has no network card.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nestos.installer.media import customize, editing, embedded, kargs
from nestos.installer.media.customize import Wishes
from nestos.lab import provision
from nestos.lab.scenario import Lab, scenario
from nestos.lab.spec import Disk, DiskFormat, Firmware, MachineSpec
from nestos.wire import cpio
from tests.scenarios.node import BOOT_SECONDS, STOPPED, Node, spec
from tests.scenarios.provisioning import config

HELLO = "from the installer\n"
_TARGET = "/dev/disk/by-id/virtio-target"
_INSTALL_SECONDS = 2400.0
_FAILED = STOPPED + r"|nestos-installer: .*|Failed to start nestos-installer.*"
_LIVE_ARGUMENTS = "console=ttyS0,115200n8 loglevel=4 ignition.firstboot ignition.platform.id=metal"


@scenario("live-install", minutes=14, needs=["live"], tags=["long"])
def installs_without_a_person_and_without_a_network(lab: Lab) -> None:
    """An ISO with an embedded config installs from itself to the other disk, which then boots and provisions itself."""
    install(lab, firmware=Firmware.BIOS)


@scenario("live-install-uefi", minutes=14, needs=["live"], tags=["long"])
def installs_with_uefi(lab: Lab) -> None:
    """The same, with UEFI firmware."""
    install(lab, firmware=Firmware.UEFI)


def install(lab: Lab, *, firmware: Firmware) -> None:
    """From the ISO to a node that is healthy."""
    dest = lab.folder / "node.ign"
    dest.write_text(json.dumps(with_key(lab, config(files={"/etc/scenario/hello": HELLO}))))
    wishes = Wishes(dest_ignition=[dest], dest_karg_append=["scenario.installed=yes"])
    medium = customized(lab, wishes, arguments=[f"nestos.inst.install_dev={_TARGET}"])
    target = lab.empty_disk("target", size="8G")
    live = live_spec(medium, target, firmware=firmware)
    machine = lab.machine(replace(live, has_nic=False, stops_on_reboot=True))
    with lab.step("the live system installs and restarts"):
        machine.start()
        machine.wait_for_console(
            r"installing NestOS .* of this live system", timeout_seconds=BOOT_SECONDS, failing=_FAILED
        )
        machine.wait_for_console(r"reading back", timeout_seconds=_INSTALL_SECONDS, failing=_FAILED)
        machine.wait_for_exit(timeout_seconds=_INSTALL_SECONDS)
    machine.close()
    node = Node(lab, lab.machine(spec("node", target, firmware=firmware)))
    with lab.step("the installed disk's first boot"):
        node.start()
        node.wait_healthy()
    lab.check(node.read("/etc/scenario/hello") == HELLO, "the config did not reach the first boot")
    words = node.read("/proc/cmdline").split()
    lab.check("scenario.installed=yes" in words, f"the kernel's arguments are {words}")
    lab.check("ignition.platform.id=metal" in words, f"the platform is another: {words}")
    lab.check(not any(word.startswith(("nestos.inst.", "nestos.live")) for word in words), f"left over: {words}")
    left = node.output("mount -o ro /dev/disk/by-partlabel/boot /mnt && ls -A /mnt/ignition 2>/dev/null; umount /mnt")
    lab.check(left == "", f"the config is still on the boot partition: {left}")
    lab.check(node.failed_units() == [], f"failed units: {node.failed_units()}")
    with lab.step("a second boot"):
        node.reboot()
    lab.check("ignition.firstboot" not in node.read("/proc/cmdline"), "the second boot calls itself the first")


@scenario("live-system", minutes=6, needs=["live"], tags=["long"])
def runs_from_the_medium_alone(lab: Lab) -> None:
    """A live system runs its embedded config, writes into memory only, and refuses to install over its own medium."""
    own = lab.folder / "live.ign"
    own.write_text(json.dumps(live_config(lab)))
    medium = customized(lab, Wishes(live_ignition=[own]))
    target = lab.empty_disk("target", size="8G")
    node = Node(lab, lab.machine(live_spec(medium, target)))
    with lab.step("boot from the ISO"):
        node.start()
    check_live(lab, node)
    refused = node.run("nestos-installer install --offline /dev/disk/by-id/virtio-medium", accepted=(1, 2))
    lab.check("in use" in refused.stderr, f"the medium itself was not refused: {refused.stderr}")
    lab.check(node.output(f"head -c 1M {_TARGET} | tr -d '\\0' | wc -c") == "0", "the other disk was written")


@scenario("live-network", minutes=6, needs=["live-pxe"], tags=["long"])
def runs_from_the_network(lab: Lab) -> None:
    """Kernel and initramfs of the network set fetch their root into memory; the config comes with the initramfs."""
    pieces = lab.images["live-pxe"]
    files = embedded.with_config({}, json.dumps(live_config(lab)).encode(), source="scenario", force=False)
    base = (pieces / "initramfs.img").read_bytes()
    initrd = lab.folder / "initrd.img"
    initrd.write_bytes(base + bytes(-len(base) % 4) + cpio.compress(cpio.pack(files)))
    url = f"{lab.server(pieces).guest_url}/rootfs.img"
    machine = MachineSpec(
        name="live",
        kernel=pieces / "vmlinuz",
        initrd=initrd,
        kernel_arguments=f"{_LIVE_ARGUMENTS} nestos.live.rootfs_url={url}",
    )
    node = Node(lab, lab.machine(machine))
    with lab.step("boot over the network"):
        node.start()
    check_live(lab, node)


def check_live(lab: Lab, node: Node) -> None:
    """A verified root, everything else in memory, the config was applied, and no unit that is about slots runs."""
    lab.check(node.read("/etc/scenario/hello") == HELLO, "the config of the live system was not applied")
    root, kind = node.output("findmnt -n -o SOURCE,FSTYPE /").split()
    lab.check((root, kind) == ("/dev/mapper/root", "erofs"), f"the root is {kind} on {root}")
    lab.check("verity" in node.output("dmsetup table root || cat /sys/block/dm-0/dm/uuid").lower(), "no dm-verity")
    kinds = [node.output(f"findmnt -n -o FSTYPE {place}") for place in ("/etc", "/var")]
    lab.check(kinds == ["overlay", "tmpfs"], f"/etc and /var are {kinds}")
    sources = set(node.output("findmnt -rn -o SOURCE -t ext4,vfat,xfs || true").split())
    lab.check(not sources, f"disks are mounted: {sources}")
    lab.check(node.failed_units() == [], f"failed units: {node.failed_units()}")
    for unit in ("nestos-agent.service", "nestos-mark-good.service", "nestos-boot-deadline.timer"):
        lab.check(node.output(f"systemctl is-active {unit} || true") == "inactive", f"{unit} runs in a live system")


def live_config(lab: Lab) -> Mapping[str, Any]:
    """A config for a live system: a file and the lab's key."""
    return with_key(lab, config(files={"/etc/scenario/hello": HELLO}))


def with_key(lab: Lab, given: dict[str, Any]) -> dict[str, Any]:
    """The config with the lab's key."""
    return provision.with_key(given, key=lab.equipment.identity.public)


def customized(lab: Lab, wishes: Wishes, *, arguments: list[str] | None = None) -> Path:
    """A copy of the ISO with what the options embed, and more kernel arguments."""
    medium = lab.folder / "medium.iso"
    shutil.copyfile(lab.images["live"], medium)
    with editing.changing(medium) as iso:
        iso.set_archive(customize.files(wishes))
        iso.set_kargs(kargs.modified(iso.kargs(), append=arguments or []))
    return medium


def live_spec(medium: Path, target: Path, *, firmware: Firmware = Firmware.BIOS) -> MachineSpec:
    """A machine that starts from the ISO and has another, empty disk."""
    return MachineSpec(
        name="live",
        firmware=firmware,
        disks=(
            Disk(path=medium, format=DiskFormat.RAW, serial="medium", read_only=True),
            Disk(path=target, format=DiskFormat.QCOW2, serial="target"),
        ),
    )
