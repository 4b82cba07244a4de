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
from nestos.slots.bootstate import Slot, SlotState
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


def usual(node: Node) -> tuple[str, str]:
    """What is compared where nothing is named, as rpm-ostree's: what runs with what is staged, else what could be
    rolled back to with what runs."""
    view = node.look()
    other = view.deployments[node.booted.other]
    is_good = view.state is not None and view.state.of(node.booted.other).state is SlotState.GOOD
    if view.follows == view.running and other is not None and is_good:
        return str(node.booted.other), "booted"
    return "booted", "next"


def packages(node: Node, revision: str, *, base: bool = False) -> dict[str, str]:
    """Name and version of the packages of a slot (a, b, booted, next), of a version in a slot, or of a commit.

    ``base``: of the release in the slot, without what is layered on it. Raises ``StateError`` where the commit of a
    slot is not in the node's repository, ``InputError`` for another word.
    """
    checksum = checksum_of(node, revision, base=base)
    try:
        told = Repository(node.folder / "repo", runner=node.runner).metadata(checksum)["nestos.packages"]
        found = json.loads(told)
    except (NestosError, KeyError, ValueError) as error:
        raise StateError(
            f"the packages of {revision} are not known here",
            hint="a node has its running release's commit after the first transaction",
        ) from error
    return {str(name): str(version) for name, version in found.items()}


def checksum_of(node: Node, revision: str, *, base: bool = False) -> str:
    """The commit that ``revision`` names. Raises as ``packages``."""
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
    return held.commit if base else held.checksum


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
    """In rpm-ostree's order: by kind, or (``diff``) by name, one sign a line; without the architectures, which a commit
    does not tell."""
    if not is_block:
        signs = [(name, [f"-{name}-{version}"]) for name, version in differ.removed.items()]
        signs += [(name, [f"+{name}-{version}"]) for name, version in differ.added.items()]
        for name, (old, new) in (*differ.upgraded.items(), *differ.downgraded.items()):
            signs.append((name, [f"!{name}-{old}", f"={name}-{new}"]))
        return [line for _, block in sorted(signs) for line in block]
    found = []
    for title, pairs in (("Upgraded", differ.upgraded), ("Downgraded", differ.downgraded)):
        if pairs:
            found += [f"{title}:", *(f"  {name} {old} -> {new}" for name, (old, new) in sorted(pairs.items()))]
    for title, versions in (("Removed", differ.removed), ("Added", differ.added)):
        if versions:
            found += [f"{title}:", *(f"  {name}-{version}" for name, version in sorted(versions.items()))]
    return found


def document(differ: Difference) -> dict[str, Any]:
    """The JSON form."""
    changed = (("upgraded", differ.upgraded), ("downgraded", differ.downgraded))
    return {
        "added": dict(differ.added),
        "removed": dict(differ.removed),
        **{kind: {name: list(pair) for name, pair in pairs.items()} for kind, pairs in changed},
    }


def compatible_document(differ: Difference, *, old: str, new: str) -> dict[str, Any]:
    """The JSON form of ``rpm-ostree db diff`` between two commits; architectures are empty, there are no advisories.

    The kinds are rpm-ostree's numbers: 0 added, 1 removed, 2 upgraded, 3 downgraded.
    """
    found: list[tuple[str, int, dict[str, list[str]]]] = []
    for kind, versions, side in ((0, differ.added, "NewPackage"), (1, differ.removed, "PreviousPackage")):
        found += [(name, kind, {side: [name, version, ""]}) for name, version in versions.items()]
    for kind, pairs in ((2, differ.upgraded), (3, differ.downgraded)):
        for name, (before, after) in pairs.items():
            found.append((name, kind, {"PreviousPackage": [name, before, ""], "NewPackage": [name, after, ""]}))
    changes = [list(item) for item in sorted(found, key=lambda item: item[0])]
    return {"ostree-commit-from": old, "ostree-commit-to": new, "pkgdiff": changes, "advisories": []}


def digest(held: Mapping[str, str]) -> str:
    """One word for all names and versions."""
    text = "\n".join(f"{name} {version}" for name, version in sorted(held.items()))
    return f"{len(held)}:{hashlib.sha256(text.encode()).hexdigest()}"
