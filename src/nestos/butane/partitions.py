"""Warnings about partitions of Fedora CoreOS's boot disk that will not work as they look."""

from __future__ import annotations

import re

from nestos.base.report import Finding, Severity
from nestos.butane.place import Path
from nestos.butane.site import Check, Object

REUSE_BY_LABEL = (
    "partitions cannot be reused by label; number must be specified except on boot disk "
    "(/dev/disk/by-id/coreos-boot-disk) or when wipe_table is true"
)
WRONG_NUMBER = "incorrect partition number; a new partition will be created using reserved label"
ROOT_TOO_SMALL = "root should have 8GiB of space assigned"
ROOT_CONSTRAINED = (
    "root partition cannot expand; it is set to fill available space but is followed by an auto-positioned partition"
)
FORBIDDEN_MOUNT = "path must be under /etc or /var if with_mount_unit is true"

_BOOT_DISK = "/dev/disk/by-id/coreos-boot-disk"
_NUMBERS = {
    "BIOS-BOOT": 1,
    "PowerPC-PReP-boot": 1,
    "EFI-SYSTEM": 2,
    "boot": 3,
    "root": 4,
}
_SMALLEST_ROOT_MIB = 8192
_CHECKS_REUSE = 6  # language version


def check_layout(check: Check) -> None:
    """Rule of the whole config: partitions are found again, and mounts are where they can be."""
    if check.language < _CHECKS_REUSE:
        return
    storage = check.values.get("storage", {})
    mirrored = check.values.get("boot_device", {}).get("mirror", {}).get("devices", [])
    for index, disk in enumerate(storage.get("disks", [])):
        device = disk.get("device", "")
        if device == _BOOT_DISK or device in mirrored or disk.get("wipe_table"):
            continue
        for number, partition in enumerate(disk.get("partitions", [])):
            if not partition.get("number") and "label" in partition:
                check.warning(
                    REUSE_BY_LABEL,
                    "storage",
                    "disks",
                    index,
                    "partitions",
                    number,
                    "number",
                )
    for index, filesystem in enumerate(storage.get("filesystems", [])):
        path = filesystem.get("path")
        if path is not None and filesystem.get("with_mount_unit") and not re.match(r"/(etc|var)(/|$)", path):
            check.error(FORBIDDEN_MOUNT, "storage", "filesystems", index, "path")


def judge_numbers(config: Object) -> list[Finding]:
    """Step of a variant: reserved labels on partitions of another number, with paths of the result."""
    return _judge(config, checks_root=False)


def judge_partitions(config: Object) -> list[Finding]:
    """Step of a variant: what is odd about the partitions of the result, the root's size too."""
    return _judge(config, checks_root=True)


def _judge(config: Object, *, checks_root: bool) -> list[Finding]:
    found: list[Finding] = []
    for index, disk in enumerate(config.get("storage", {}).get("disks", [])):
        partitions = disk.get("partitions", [])
        for number, partition in enumerate(partitions):
            above: Path = ("storage", "disks", index, "partitions", number)
            label = partition.get("label")
            if checks_root and label == "root":
                found += _judge_root(
                    partition,
                    [item for item in partitions if item is not partition],
                    above,
                )
            expected = _NUMBERS.get(label)
            if not disk.get("wipeTable") and expected and partition.get("number", 0) != expected:
                found.append(_warning(WRONG_NUMBER, (*above, "label")))
    return found


def _judge_root(root: Object, others: list[Object], above: Path) -> list[Finding]:
    size = root.get("sizeMiB") or 0
    if not size:
        follows = any(not other.get("startMiB") for other in others)
        return [_warning(ROOT_CONSTRAINED, (*above, "label"))] if follows else []
    return [_warning(ROOT_TOO_SMALL, (*above, "size_mib"))] if size < _SMALLEST_ROOT_MIB else []


def _warning(message: str, path: Path) -> Finding:
    return Finding(severity=Severity.WARNING, message=message, path=path)
