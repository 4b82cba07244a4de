"""The node's status as ``rpm-ostree status --json`` tells it, for programs written against that.

A slot with a release is a deployment; the one that boots next comes first. The names are rpm-ostree's, and mean: base,
the signed release; ``packages``, requests that are layered; ``requested-packages``, all of them, also those that the
release has itself; ``base-removals`` and ``base-local-replacements``, overrides that are in force.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from nestos.deploy.status import SlotView, Status
from nestos.slots.bootstate import SlotState
from nestos.wire.deployment import Deployment

OSNAME = "nestos"
REMOTE = "nestos"


def document(status: Status, *, booted_only: bool = False) -> dict[str, Any]:
    """The whole answer."""
    views = sorted(
        (view for view in status.slots.values() if view.deployment is not None and view.state is not SlotState.BAD),
        key=lambda view: (not view.is_staged, not view.is_next, not view.is_booted),
    )
    deployments = [
        _deployment(view, view.deployment, index=index) | (_unlocked(status) if view.is_booted else {})
        for index, view in enumerate(views)
        if view.deployment is not None and (view.is_booted or not booted_only)
    ]
    busy = status.transaction
    return {
        "deployments": deployments,
        "transaction": [busy.command, str(busy.pid), busy.since] if busy else None,
        "cached-update": None,
        "update-driver": None,
    }


def _deployment(view: SlotView, held: Deployment, *, index: int) -> dict[str, Any]:
    origin, layers = held.origin, held.layers
    is_layered = bool(held.layered_commit)
    active = [name for name in origin.packages if name in layers.added]
    meta = _base_meta(held)
    found: dict[str, Any] = {
        "id": f"{OSNAME}-{held.checksum}.{index}",
        "osname": OSNAME,
        "serial": index,
        "checksum": held.checksum,
        "version": held.version,
        "timestamp": _seconds(held.timestamp),
        "origin": f"{REMOTE}:{held.ref}",
        "booted": view.is_booted,
        "staged": view.is_staged,
        "pinned": origin.pinned,
        "unlocked": "none",
        "gpg-enabled": True,
        "signatures": [],
        "packages": active,
        "requested-packages": list(origin.packages),
        "requested-local-packages": [str(file) for file in origin.local],
        "requested-local-fileoverride-packages": [],
        "requested-modules": [],
        "modules": [],
        "requested-base-removals": list(origin.removals),
        "base-removals": [[f"{name}-{version}", name] for name, version in layers.removed.items()],
        "requested-base-local-replacements": [str(file) for file in origin.replacements],
        "base-local-replacements": [
            [[f"{name}-{new}", name], [f"{name}-{old}", name]] for name, (old, new) in layers.replaced.items()
        ],
        "requested-base-remote-replacements": {},
        "base-remote-replacements": {},
        "regenerate-initramfs": origin.initramfs.regenerate,
        "initramfs-args": list(origin.initramfs.arguments),
        "initramfs-etc": list(origin.initramfs.etc),
        "kernel-arguments": " ".join(held.kargs),
        "base-commit-meta": meta,
    }
    if view.is_locked:
        found["finalization-locked"] = True
    if is_layered:
        found |= {
            "base-checksum": held.commit,
            "base-version": held.version,
            "base-timestamp": _seconds(held.timestamp),
            "layered-commit-meta": {"rpmostree.clientlayer": True, "rpmostree.packages": sorted(layers.added)},
        }
    else:
        found["layered-commit-meta"] = None
    return found


def _unlocked(status: Status) -> dict[str, Any]:
    replaced = {"live-replaced": status.live.commit} if status.live else {}
    return {"unlocked": status.usr, **replaced}


def _base_meta(held: Deployment) -> dict[str, Any]:
    """What zincati asks of a commit: the stream is the branch's last word, the architecture stands before it."""
    parts = held.ref.split("/")
    return {
        "version": held.version,
        "fedora-coreos.stream": parts[-1],
        "coreos-assembler.basearch": parts[-2] if len(parts) > 1 else "",
    }


def _seconds(timestamp: str) -> int:
    try:
        return int(datetime.fromisoformat(timestamp).timestamp())
    except ValueError:
        return 0


def text(document: Mapping[str, Any], *, verbose: bool = False) -> str:
    """The answer ``document`` for people, in rpm-ostree's form."""
    busy = document["transaction"]
    lines = [f"State: {'busy' if busy else 'idle'}"]
    if busy:
        lines.append(f"Transaction: {' '.join(busy)}")
    lines.append("Deployments:")
    for found in document["deployments"]:
        lines.append(f"{'●' if found['booted'] else ' '} {found['origin']}")
        lines += [f"{name:>25}: {value}" for name, value in _rows(found, verbose=verbose) if value]
        lines.append("")
    return "\n".join(lines).rstrip()


def _rows(found: Mapping[str, Any], *, verbose: bool) -> list[tuple[str, str]]:
    is_layered = "base-checksum" in found
    rows = [
        ("Version", f"{found['version']} ({_day(found['timestamp'])})"),
        ("BaseCommit" if is_layered else "Commit", found["base-checksum" if is_layered else "checksum"]),
    ]
    if verbose:
        rows += [("Commit", found["checksum"])] if is_layered else []
        is_locked = found.get("finalization-locked", False)
        staged = ("yes (finalization locked)" if is_locked else "yes") if found["staged"] else "no"
        rows += [("Staged", staged), ("Arguments", found["kernel-arguments"])]
    inactive = [name for name in found["requested-packages"] if name not in found["packages"]]
    replaced = [f"{old[0]} -> {new[0]}" for new, old in found["base-local-replacements"]]
    return [
        *rows,
        ("RemovedBasePackages", " ".join(pair[0] for pair in found["base-removals"])),
        ("ReplacedBasePackages", ", ".join(replaced)),
        ("LayeredPackages", " ".join(found["packages"])),
        ("InactiveRequests", " ".join(inactive) if verbose else ""),
        ("LocalPackages", " ".join(found["requested-local-packages"])),
        ("Initramfs", "regenerate" if found["regenerate-initramfs"] else ""),
        ("InitramfsEtc", " ".join(found["initramfs-etc"])),
        ("Pinned", "yes" if found["pinned"] else ""),
        ("LiveCommit", found.get("live-replaced", "")),
        ("Unlocked", found["unlocked"] if found["unlocked"] != "none" else ""),
    ]


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
