"""A node that is ready to update, saved with its memory, so that scenarios about updates share one first boot.

It runs release ``v1``, completed its first boot, holds the running system's files in its repository (which an update
does once), and has marked files in /etc and /var. Resuming a copy takes seconds where a boot takes a minute.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from nestos.lab.scenario import Lab
from tests.scenarios.node import FRESH, Node, first_boot, releases, spec

STATE = "ready"
SEEDED_BY = "unhealthy"
"""The release whose objects it has fetched: any but those that scenarios take and count the bytes of."""
CLUSTER_BYTES = 4096
"""Of the disk: small, so that a killed QEMU loses just what was not flushed (see ``nestos.lab.spec``)."""

MARKS = {"/etc/scenario/mark": "etc is whole\n", "/var/lib/scenario/mark": "var is whole\n"}
_RESUME_SECONDS = 600.0


def prepare(lab: Lab, target: Path) -> None:
    """Makes the saved machine; its disk, with the saved memory inside, becomes ``target``."""
    server, known = lab.server(lab.images["repository"]), releases(lab)
    node = first_boot(lab, cluster_bytes=CLUSTER_BYTES)
    for path, text in MARKS.items():
        node.write(path, text)
    with lab.step("the running system's files into the node's repository"):
        node.follow(server.guest_url, ref=known[SEEDED_BY]["ref"])
        node.upgrade("--download-only")
        node.run("sync")
    with lab.step("saving the machine"):
        disk = node.machine.spec.image
        assert disk is not None
        node.machine.qmp.save_state(STATE)
        node.machine.close()
        disk.rename(target)


def resume(lab: Lab, *, name: str = "node") -> Node:
    """A copy of the saved machine, running, with disk and memory of its own."""
    disk = lab.folder / f"{name}.qcow2"
    shutil.copyfile(lab.images["ready"], disk)
    node = Node(lab, lab.machine(replace(spec(name, disk), load_state=STATE), config=FRESH))
    node.machine.start()
    node.wait_for_ssh(timeout_seconds=_RESUME_SECONDS)
    return node


def without_memory(lab: Lab, node: Node) -> Node:
    """The same machine, to be started from its disk."""
    return Node(lab, lab.machine(replace(node.machine.spec, load_state="")))
