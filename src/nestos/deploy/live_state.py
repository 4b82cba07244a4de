"""What was changed in the running system until its end: read by the status, cleared away by the next boot."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field

from nestos.deploy.node import Node

LIVE, WRITABLE = "nestos-live", "nestos-usroverlay"
"""What the mounts are called in the kernel's list."""

STATE = "/run/nestos/live.json"
FOLDER = "live"
"""Of the node's state: hard links to what is live."""


@dataclass(frozen=True, kw_only=True)
class Live:
    """What came into the running system: the tree's commit, and the packages with their versions."""

    commit: str
    packages: Mapping[str, str] = field(default_factory=dict)


def live(node: Node) -> Live | None:
    """What is live since this boot, or none."""
    try:
        return Live(**json.loads(node.root.join(STATE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def unlocked(node: Node) -> str:
    """How ``/usr`` differs from the running tree, in rpm-ostree's words: none, transient or development."""
    found = mounts(node)
    return "development" if WRITABLE in found else "transient" if LIVE in found else "none"


def mounts(node: Node) -> list[str]:
    """The names of the overlays over ``/usr``, by /proc/1/mountinfo (proc_pid_mountinfo(5)), the topmost last."""
    try:
        text = node.root.join("/proc/1/mountinfo").read_text()
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        place, _, source = line.partition(" - ")
        if place.split()[4:5] == ["/usr"] and source.split()[:1] == ["overlay"]:
            found.append(source.split()[1])
    return found


def forget(node: Node) -> None:
    """Removes the files of what was live."""
    node.root.join(STATE).unlink(missing_ok=True)
    shutil.rmtree(node.folder / FOLDER, ignore_errors=True)
