"""Which packages slots and commits have, and how two of them differ."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nestos.base.errors import InputError, NestosError, StateError
from nestos.deploy.node import Node
from nestos.ostree.repository import Repository
from nestos.slots.bootstate import Slot
from nestos.wire.deployment import Deployment
from nestos.wire.version import sort_key

_HEX = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Name to version of what was added and removed, to (old, new) of what changed."""

    added: Mapping[str, str]
    removed: Mapping[str, str]
    upgraded: Mapping[str, tuple[str, str]]
    downgraded: Mapping[str, tuple[str, str]]


def packages(node: Node, revision: str) -> dict[str, str]:
    """Name and version of the packages of a slot (a, b, booted, next), of a version in a slot, or of a commit.

    Raises ``StateError`` where the commit of a slot is not in the node's repository, ``InputError`` for another word.
    """
    checksum = _checksum(node, revision)
    try:
        told = Repository(node.folder / "repo", runner=node.runner).metadata(checksum)["nestos.packages"]
        found = json.loads(told)
    except (NestosError, KeyError, ValueError) as error:
        raise StateError(
            f"the packages of {revision} are not known here",
            hint="a node has its running release's commit after the first transaction",
        ) from error
    return {str(name): str(version) for name, version in found.items()}


def _checksum(node: Node, revision: str) -> str:
    if _HEX.fullmatch(revision):
        return revision
    view = node.look()
    held: Deployment | None = None
    if revision == "booted":
        held = view.require_running()
    elif revision == "next":
        held = view.follows
    elif revision in set(Slot):
        held = view.deployments[Slot(revision)]
    else:
        held = next((item for item in view.deployments.values() if item and item.version == revision), None)
    if held is None:
        raise InputError(f'"{revision}" is neither a slot with a release, nor a version in one, nor a commit')
    return held.checksum


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> Difference:
    """How the packages of two differ.

    >>> difference({"a": "1", "b": "1"}, {"a": "2"}).upgraded
    {'a': ('1', '2')}
    """
    changed = {name: (old[name], new[name]) for name in old.keys() & new.keys() if old[name] != new[name]}
    up = {name: pair for name, pair in changed.items() if sort_key(pair[0]) < sort_key(pair[1])}
    return Difference(
        added={name: version for name, version in new.items() if name not in old},
        removed={name: version for name, version in old.items() if name not in new},
        upgraded=up,
        downgraded={name: pair for name, pair in changed.items() if name not in up},
    )


def lines(differ: Difference, *, is_block: bool) -> list[str]:
    """For people: by kind, or (``diff``) one sign a line."""
    changes = sorted([*differ.upgraded.items(), *differ.downgraded.items()])
    if not is_block:
        found = [f"!{name}-{old}\n={name}-{new}" for name, (old, new) in changes]
        found += [f"-{name}-{version}" for name, version in sorted(differ.removed.items())]
        return found + [f"+{name}-{version}" for name, version in sorted(differ.added.items())]
    found = []
    for title, pairs in (("Upgraded", differ.upgraded), ("Downgraded", differ.downgraded)):
        if pairs:
            found += [f"{title}:", *(f"  {name} {old} -> {new}" for name, (old, new) in sorted(pairs.items()))]
    for title, versions in (("Removed", differ.removed), ("Added", differ.added)):
        if versions:
            found += [f"{title}:", *(f"  {name} {version}" for name, version in sorted(versions.items()))]
    return found


def document(differ: Difference) -> dict[str, Any]:
    """The JSON form."""
    changed = (("upgraded", differ.upgraded), ("downgraded", differ.downgraded))
    return {
        "added": dict(differ.added),
        "removed": dict(differ.removed),
        **{kind: {name: list(pair) for name, pair in pairs.items()} for kind, pairs in changed},
    }


def digest(held: Mapping[str, str]) -> str:
    """One word for all names and versions."""
    text = "\n".join(f"{name} {version}" for name, version in sorted(held.items()))
    return f"{len(held)}:{hashlib.sha256(text.encode()).hexdigest()}"
