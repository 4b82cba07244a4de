"""Damage: a slot whose bytes changed is never run; the node goes on with its other good slot."""

from __future__ import annotations

import json
import os
from pathlib import Path

from nestos.lab import disks
from nestos.lab.scenario import Lab, scenario
from tests.scenarios.node import TEST_REF, Node
from tests.scenarios.prepared import without_memory
from tests.scenarios.updating import READY, resumed, slot

_BLOCK_BYTES = 4096
_STRIDE_BYTES = 2**20


def spoil(lab: Lab, disk: Path, *, label: str, image_bytes: int) -> int:
    """Overwrites a block in each MiB of the slot image on partition ``label``; how many. The machine is off.

    So dense that the boot itself reads one of them, whatever is at fault first.
    """
    folders = {path.parent for path in disks.backing_chain(disk)}
    box = lab.equipment.tools.with_binds(*sorted(folders))
    raw = lab.folder / "table.raw"  # sfdisk reads no qcow2; the table is in the first MiB of a disk of the same size
    box(["qemu-img", "dd", "-f", "qcow2", "-O", "raw", "bs=1M", "count=1", f"if={disk}", f"of={raw}"])
    os.truncate(raw, json.loads(box(["qemu-img", "info", "--output=json", str(disk)]).stdout)["virtual-size"])
    table = json.loads(box(["sfdisk", "--json", str(raw)]).stdout)["partitiontable"]
    (part,) = (part for part in table["partitions"] if part.get("name") == label)
    start = part["start"] * table.get("sectorsize", 512)
    places = range(start + _STRIDE_BYTES, start + image_bytes - _BLOCK_BYTES, _STRIDE_BYTES)
    writes = [word for place in places for word in ("-c", f"write -q -P 0x5a {place} {_BLOCK_BYTES}")]
    box(["qemu-io", "-f", "qcow2", *writes, str(disk)], timeout_seconds=300)
    return len(places)


@scenario("corrupted-slot", minutes=9, needs=READY, tags=["long"])
def a_corrupted_slot_is_not_run(lab: Lab) -> None:
    """Changed blocks in the running slot's partition: the node falls back to its other good slot."""
    node, server, known = resumed(lab)
    with lab.step("update, so that there are two good slots"):
        node.follow(server.guest_url, ref=TEST_REF)
        node.upgrade()
        node.reboot()
        lab.check(slot(node.status(), "other")["state"] == "good", "the first slot is no longer good")
    with lab.step("damage to the running slot"):
        node.machine.poweroff(timeout_seconds=300)
        disk = node.machine.spec.image
        assert disk is not None
        blocks = spoil(lab, disk, label="root-b", image_bytes=known["v2"]["image_size"])
        lab.facts["blocks_spoilt"] = blocks
    with lab.step("back on the other good slot"):
        since = node.machine.console.mark()
        node = without_memory(lab, node)
        node.machine.start()
        status = node.wait_back_on(known["v1"]["version"], unlike="", timeout_seconds=900)
        lab.check(status["booted"] == "a", f"slot {status['booted']} runs")
        text = node.machine.console.text(since=since)
        prompt = f"NestOS {known['v2']['version']} "  # the login prompt begins with the version that shows it
        lab.check(prompt not in text, "the damaged slot came up to a login")
        lab.check("verity" in text, "nothing on the console speaks of verity")
        lab.check(slot(status, "other")["state"] == "bad", f"the damaged slot is {slot(status, 'other')['state']}")
        lab.check(status["denied"] == [], "a release was denied for damage to the disk")
    with lab.step("the release is taken again, over the damage"):
        repaired(lab, node, server.guest_url, version=known["v2"]["version"])


def repaired(lab: Lab, node: Node, url: str, *, version: str) -> None:
    """Updates to ``version`` and checks that it runs."""
    node.follow(url, ref=TEST_REF)
    node.upgrade()
    node.reboot()
    lab.check(node.version() == version, f"{node.version()} runs")
