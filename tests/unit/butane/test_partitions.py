"""Warnings about partitions, and mount points where none can be."""

from __future__ import annotations

import pytest

from nestos.butane import partitions
from tests.unit.butane.source import messages

CASES = [
    ("1.2.0", "{number: 3, label: root}", "label", partitions.WRONG_NUMBER),
    ("1.2.0", "{number: 4, label: root, size_mib: 100}", "", ""),
    ("1.3.0", "{number: 4, label: root, size_mib: 100}", "size_mib", partitions.ROOT_TOO_SMALL),
    ("1.3.0", "{number: 4, label: root}, {number: 5}", "label", partitions.ROOT_CONSTRAINED),
    ("1.3.0", "{number: 4, label: root}, {number: 5, start_mib: 9000}", "", ""),
    ("1.5.0", "{label: data}", "", ""),
    ("1.6.0", "{label: data}", "number", partitions.REUSE_BY_LABEL),
]


@pytest.mark.parametrize(("version", "written", "key", "reason"), CASES)
def test_a_partition_that_will_not_work_as_it_looks_is_warned_of(
    version: str, written: str, key: str, reason: str
) -> None:
    found = messages(
        f"storage: {{disks: [{{device: /dev/a, partitions: [{written}]}}]}}", variant="fcos", version=version
    )
    assert [line.rpartition(": ")[2] for line in found] == ([reason.rpartition(": ")[2]] if reason else [])
    assert all(line.startswith(f"warning at $.storage.disks.0.partitions.0.{key}, line 3") for line in found)


def test_a_table_that_is_wiped_has_nothing_to_find_again() -> None:
    body = "storage: {disks: [{device: /dev/a, wipe_table: true, partitions: [{label: data}, {label: boot}]}]}"
    assert messages(body, variant="fcos", version="1.7.0") == []
