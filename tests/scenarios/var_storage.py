"""/var encrypted, mirrored, and both: opened on every boot by what the machine, its servers and its disks give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nestos.lab import provision
from nestos.lab.scenario import Lab, scenario
from nestos.lab.spec import Disk, DiskFormat, MachineSpec
from nestos.lab.tang import TangServer
from tests.scenarios.node import BOOT_SECONDS, LOGIN, STOPPED, Node, spec

_REF = "nestos/x86_64/test-sealed"
_NOTE = "/var/lib/scenario/note"
_BUTANE = f"""\
variant: nestos
version: 1.2.0
storage:
  files:
    - {{path: {_NOTE}, contents: {{inline: "kept\\n"}}}}
boot_device:
"""
_LEAST_VAR_BYTES = 2 << 30  # of a disk of 8 GiB; the image's own has 512 MiB


@scenario("var-encrypted", minutes=14, needs=["sealed", "sealed-repository"])
def unlocks_var_by_tpm_and_tang(lab: Lab) -> None:
    """/var that needs the TPM and a tang server is opened again once the server answers, and survives an update."""
    keys = lab.folder / "tang"
    machine = replace(spec("node", lab.disk("sealed", name="node")), tpm=lab.folder / "tpm")
    with TangServer(keys, tools=lab.equipment.tools) as tang:
        port, server = tang.port, f"{{url: '{tang.guest_url}', thumbprint: {tang.thumbprint}}}"
        node = _node(lab, machine, _config(lab, f"  luks: {{tpm2: true, tang: [{server}], threshold: 2}}\n"))
        with lab.step("first boot"):
            node.start()
            node.wait_healthy()
            _check_var(lab, node, kinds=["part", "crypt"])
    with lab.step("a boot while the server is away"):
        node.run("systemctl reboot", accepted=(0, 255))
        node.machine.wait_for_console(
            "/var cannot be unlocked yet, trying for another", timeout_seconds=BOOT_SECONDS, failing=STOPPED
        )
        with TangServer(keys, tools=lab.equipment.tools, port=port):
            node.machine.wait_for_console(LOGIN, timeout_seconds=BOOT_SECONDS, since=node.machine.console.mark())
            node.wait_for_ssh()
            node.wait_healthy()
            _check_var(lab, node, kinds=["part", "crypt"])
            with lab.step("update"):
                node.follow(lab.server(lab.images["sealed-repository"]).guest_url, ref=_REF)
                node.upgrade()
                node.reboot()
                lab.check(node.status()["booted"] == "b", "the update does not run")
                _check_var(lab, node, kinds=["part", "crypt"])


@scenario("var-mirrored", minutes=12, needs=["sealed"])
def boots_with_one_disk_of_an_encrypted_mirror(lab: Lab) -> None:
    """/var on an encrypted mirror comes up with one disk less; with a strange TPM the boot ends, and says why."""
    second = Disk(path=lab.empty_disk("second", size="6G"), format=DiskFormat.QCOW2, serial="second")
    whole = replace(spec("node", lab.disk("sealed", name="node")), disks=(second,), tpm=lab.folder / "tpm")
    config = _config(lab, "  luks: {tpm2: true}\n  mirror: {devices: [/dev/disk/by-id/virtio-second]}\n")
    node = _node(lab, whole, config)
    with lab.step("first boot"):
        node.start()
        node.wait_healthy()
        _check_var(lab, node, kinds=["part", "raid1", "crypt"])
        node.machine.poweroff()
    with lab.step("a disk is missing"):
        alone = _node(lab, replace(whole, name="alone", disks=()), config)
        alone.start()
        alone.wait_healthy()
        _check_var(lab, alone, kinds=["part", "raid1", "crypt"])
        lab.check("lacks a disk" in alone.machine.console.text(), "the console does not tell that a disk is missing")
        alone.machine.poweroff()
    with lab.step("another TPM"):
        strange = _node(lab, replace(whole, name="strange", disks=(), tpm=lab.folder / "other-tpm"), config)
        strange.machine.start()
        strange.machine.wait_for_console("/var stays locked", timeout_seconds=BOOT_SECONDS)
        strange.machine.wait_for_console("this boot failed; trying again", timeout_seconds=BOOT_SECONDS)


def _config(lab: Lab, boot_device: str) -> dict[str, Any]:
    path = lab.folder / "node.bu"
    path.write_text(_BUTANE + boot_device)
    return provision.from_butane(path)


def _node(lab: Lab, machine: MachineSpec, config: Mapping[str, Any]) -> Node:
    return Node(lab, lab.machine(machine, config=config))


def _check_var(lab: Lab, node: Node, *, kinds: list[str]) -> None:
    """/var is what the first boot made, on the layers ``kinds``, and as large as they can be."""
    lab.check(node.read(_NOTE) == "kept\n", "/var is another's")
    source, size = node.output("findmnt --noheadings --bytes --output=SOURCE,SIZE /var").split()
    lab.check(int(size) > _LEAST_VAR_BYTES, f"/var has {size} bytes")
    below = node.output(f"lsblk --inverse --noheadings --list --output=TYPE {source}").split()
    lab.check(set(below) == {*kinds, "disk"}, f"/var is on {below}")
    lab.check(node.failed_units() == [], f"failed units: {node.failed_units()}")
