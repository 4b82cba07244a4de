"""Rules for partition tables."""

from __future__ import annotations

import re

from nestos.ignition.spec.rules.paths import check_path
from nestos.ignition.spec.schema import Place, Value

_GUID = re.compile("(?:[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12})?")
_LONGEST_LABEL = 36


def disk(value: Value, place: Place) -> None:
    """A disk has a device, and its partitions do not get into each other's way."""
    if not value.get("device"):
        place.error("disk device is required", "device")
        return
    check_path(value["device"], place, "device")
    partitions = value.get("partitions", [])
    collision = _repeated([entry.get("number") or None for entry in partitions])
    if collision is not None:
        place.error("partition numbers collide", "partitions", collision)
    overlap = _overlapped(partitions)
    if overlap is not None:
        place.error("partitions overlap", "partitions", overlap)
    if any(entry.get("shouldExist") is False for entry in partitions) and not all(
        entry.get("number") for entry in partitions
    ):
        text = "shouldExist is false for a partition and other partition(s) has start or size 0"
        place.error(text, "partitions")
    collision = _repeated([entry.get("label") for entry in partitions])
    if collision is not None:
        place.error("cannot use the same partition label twice", "partitions", collision)


def _repeated(values: list[int | str | None]) -> int | None:
    """The first place of a value, other than None, that came before."""
    return next((at for at, value in enumerate(values) if value is not None and value in values[:at]), None)


def _overlapped(partitions: list[Value]) -> int | None:
    """The first partition that shares space with another one, as far as the config alone can tell.

    A start of 0 is wherever there is room, so nothing is known of it; a size of 0 is what is left.
    """
    spans = [
        (at, entry["startMiB"], entry["startMiB"] + max(entry["sizeMiB"] - 1, 0))
        for at, entry in enumerate(partitions)
        if entry.get("startMiB") and "sizeMiB" in entry
    ]
    for at, start, end in spans:
        for other, other_start, other_end in spans:
            if at != other and start <= other_end and other_start <= end:
                return other
    return None


def partition(value: Value, place: Place) -> None:
    """A partition can be found by number or label, and one that is to go is not described."""
    described = any(name in value for name in ("label", "startMiB", "sizeMiB")) or any(
        value.get(name) for name in ("typeGuid", "guid")
    )
    if value.get("shouldExist") is False and described:
        place.error("shouldExist specified false with other options also specified")
    label = value.get("label")
    if not value.get("number") and label is None:
        place.error("a partition number >= 1 or a label must be specified")
    if label is not None and len(label.encode()) > _LONGEST_LABEL:
        place.error("partition labels may not exceed 36 characters", "label")
    elif label is not None and ":" in label:
        place.error("partition label will be truncated to text before the colon", "label")
    for name in ("guid", "typeGuid"):
        if not _GUID.fullmatch(value.get(name, "")):
            place.error('doesn\'t match the form "01234567-89AB-CDEF-EDCB-A98765432101"', name)


def partition_key(entry: Value) -> str:
    """Partitions are told apart by number, or by label where they have none."""
    if entry.get("number"):
        return f"number:{entry['number']}"
    return f"label:{entry['label']}" if "label" in entry else ""
