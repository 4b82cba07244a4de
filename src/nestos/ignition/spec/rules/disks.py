"""Rules for partition tables."""

from __future__ import annotations

import re

from nestos.ignition.spec.rules.paths import path_problem
from nestos.ignition.spec.schema import Place, Value

_GUID = re.compile("[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}")
_LONGEST_LABEL = 36


def disk(value: Value, place: Place) -> None:
    """A disk has a device, and its partitions do not get into each other's way."""
    device = value.get("device", "")
    problem = "disk device is required" if not device else path_problem(device)
    if problem:
        place.error(problem, "device")
    partitions = value.get("partitions", [])
    _distinct(partitions, place)
    ends: list[tuple[int, int]] = []
    for index, partition in enumerate(partitions):
        start, size = partition.get("startMiB") or 0, partition.get("sizeMiB") or 0
        if partition.get("shouldExist") is False or not start or not size:
            continue
        if any(start < other_end and other_start < start + size for other_start, other_end in ends):
            place.error("partitions overlap", "partitions", index)
        ends.append((start, start + size))


def _distinct(partitions: list[Value], place: Place) -> None:
    numbers: set[int] = set()
    labels: set[str] = set()
    for index, partition in enumerate(partitions):
        number, label = partition.get("number", 0), partition.get("label", "")
        if number and number in numbers:
            place.error("partition numbers collide", "partitions", index)
        if label and label in labels:
            place.error("cannot use the same partition label twice", "partitions", index)
        numbers.add(number)
        labels.add(label)


def partition(value: Value, place: Place) -> None:
    """A partition can be found by number or label, and one that is to go is not described."""
    label = value.get("label")
    described = any(value.get(name) for name in ("label", "guid", "typeGuid", "startMiB", "sizeMiB"))
    if value.get("shouldExist") is False and described:
        place.error("shouldExist specified false with other options also specified")
    if value.get("number", 0) < 0:
        place.error("a partition number >= 1 or a label must be specified", "number")
    elif not value.get("number") and not label:
        place.error("a partition number >= 1 or a label must be specified")
    if label is not None:
        if len(label) > _LONGEST_LABEL:
            place.error("partition labels may not exceed 36 characters", "label")
        if ":" in label:
            place.error("partition label will be truncated to text before the colon", "label")
    for name in ("guid", "typeGuid"):
        if value.get(name) and not _GUID.fullmatch(value[name]):
            place.error('doesn\'t match the form "01234567-89AB-CDEF-EDCB-A98765432101"', name)


def partition_key(entry: Value) -> str:
    """Partitions are told apart by number, or by label where they have none."""
    return f"number:{entry['number']}" if entry.get("number") else f"label:{entry.get('label', '')}"
