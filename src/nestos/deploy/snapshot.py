"""The status as root's last command left it, for users who may not read the boot partition."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from nestos.base import durable
from nestos.base.errors import StateError
from nestos.base.paths import Root
from nestos.deploy import rpm_ostree, status
from nestos.deploy.node import Node
from nestos.deploy.status import Status

PATH = "/run/nestos/status.json"
CHANGED = "/run/nestos/ostree/deploy"
"""``/ostree/deploy``: zincati asks for the status anew when this folder's time moves."""

_MODE = 0o644


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """As JSON, for people (short and verbose), and as rpm-ostree tells it."""

    document: dict[str, Any]
    text: str
    verbose: str
    compatible: dict[str, Any]


def publish(node: Node, known: Status | None = None) -> None:
    """Leaves a snapshot for everyone, and if it is another than before, moves the time that says so.

    ``known`` is the status if the caller has just collected it. Passwords in the address are left out.
    """
    found = replace(known or status.collect(node), transaction=None)
    parts = urlsplit(found.url)
    found = replace(found, url=parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl())
    left = Snapshot(
        document=status.document(found),
        text=status.text(found),
        verbose=status.text(found, verbose=True),
        compatible=rpm_ostree.document(found),
    )
    path = node.root.join(PATH)
    data = json.dumps(asdict(left)).encode()
    if path.exists() and path.read_bytes() == data:
        return  # else whoever asks for the status when that time moves would move it by asking
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.write(path, data, mode=_MODE)
    changed = node.root.join(CHANGED)
    changed.mkdir(parents=True, exist_ok=True)
    os.utime(changed)


def read(root: Root) -> Snapshot:
    """What ``publish`` left. Raises ``StateError`` where there is nothing yet."""
    try:
        return Snapshot(**json.loads(root.join(PATH).read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        hint = "it is there when the boot has completed; root can always ask: sudo nestos status"
        raise StateError("there is no status for users yet", hint=hint) from error
