"""Rules for file systems, RAID arrays and LUKS volumes."""

from __future__ import annotations

import json

from nestos.ignition.spec.rules.paths import path_problem
from nestos.ignition.spec.rules.resources import scheme_of
from nestos.ignition.spec.schema import Place, Value

_LONGEST_LABEL = {"ext4": 16, "btrfs": 256, "xfs": 12, "swap": 15, "vfat": 11}
_WITHOUT_SPARES = ("linear", "raid0", "0", "stripe")
_LEVELS = (*_WITHOUT_SPARES, "raid1", "1", "mirror", "raid4", "4", "raid5", "5", "raid6", "6", "raid10", "10")
_LONGEST_LUKS_LABEL = 47


def filesystem(value: Value, place: Place) -> None:
    """A file system has a device, and a known format if anything else is said about it."""
    for name in ("path", "device"):
        problem = path_problem(value.get(name, "")) if value.get(name) or name == "device" else ""
        if problem:
            place.error(problem, name)
    kind = value.get("format")
    others = ("path", "label", "uuid", "wipeFilesystem", "options", "mountOptions")
    if not kind:
        if any(value.get(name) for name in others):
            place.error(
                "format cannot be empty when path, label, uuid, wipeFilesystem, options, or mountOptions is specified",
                "format",
            )
        if value.get("label"):
            place.error("filesystem must specify format if label is specified", "label")
    elif kind not in place.traits.formats:
        place.error("invalid filesystem format", "format")
    longest = _LONGEST_LABEL.get(kind or "")
    if longest is not None and len(value.get("label", "")) > longest:
        place.error(f"filesystem labels cannot be longer than {longest} characters when using {kind}", "label")


def devices(value: Value, place: Place) -> None:
    """File systems and the disks of the same config fit together."""
    disks = {entry.get("device", ""): entry for entry in value.get("disks", [])}
    disks.pop("", None)
    for index, entry in enumerate(value.get("filesystems", [])):
        disk = disks.get(entry.get("device", ""))
        if disk is None:
            continue
        if disk.get("partitions"):
            place.warning("filesystem overwrites partitioned device", "filesystems", index, "device")
        elif disk.get("wipeTable") and not entry.get("wipeFilesystem"):
            text = "device matches disk with wipeTable enabled; filesystem will be wiped"
            place.warning(text, "filesystems", index, "device")


def raid(value: Value, place: Place) -> None:
    """An array has a level, devices, and spares only where the level can use them."""
    level = value.get("level")
    if not level:
        place.error("raid level is required", "level")
    elif level not in _LEVELS:
        place.error("unrecognized raid level", "level")
    elif level in _WITHOUT_SPARES and value.get("spares"):
        place.error("spares unsupported for linear and raid0 arrays", "level")
    if not value.get("devices"):
        place.error("raid devices required", "devices")
    for index, device in enumerate(value.get("devices", [])):
        problem = path_problem(device)
        if problem:
            place.error(problem, "devices", index)


def luks(value: Value, place: Place) -> None:
    """A volume has a name and a device; secure keys of s390x stand alone."""
    if "/" in value.get("name", ""):
        place.error("device names cannot contain slashes", "name")
    if len(value.get("label", "")) > _LONGEST_LUKS_LABEL:
        place.error("luks device labels cannot be longer than 47 characters", "label")
    device = value.get("device", "")
    problem = path_problem(device) if device else "disk device is required"
    if problem:
        place.error(problem, "device")
    if value.get("cex", {}).get("enabled"):
        clevis = value.get("clevis", {})
        if (
            clevis.get("tpm2")
            or clevis.get("tang")
            or clevis.get("threshold")
            or any(clevis.get("custom", {}).values())
        ):
            place.error("cannot use cex with clevis", "cex")
        if value.get("keyFile", {}).get("source"):
            place.error("cannot use key file with cex", "cex")


def clevis(value: Value, place: Place) -> None:
    """A custom pin excludes the known ones."""
    if any(value.get("custom", {}).values()) and (value.get("tang") or value.get("tpm2") or value.get("threshold")):
        place.error("cannot use custom clevis config with tpm2, tang, or threshold")


def custom(value: Value, place: Place) -> None:
    """A custom pin has a name that is supported and a configuration."""
    if not any(value.values()):
        return
    pins = place.traits.pins
    if not value.get("pin"):
        place.error("missing required custom clevis pin", "pin")
    elif pins is not None and value["pin"] not in pins:
        place.error("unsupported clevis pin", "pin")
    if not value.get("config"):
        place.error("missing required custom clevis config", "config")


def tang(value: Value, place: Place) -> None:
    """A tang server has an HTTP address and a thumbprint; an advertisement is JSON."""
    if scheme_of(value.get("url", "")) not in ("http", "https"):
        place.error("invalid url scheme", "url")
    if not value.get("thumbprint"):
        place.error("thumbprint is required", "thumbprint")
    if value.get("advertisement"):
        try:
            json.loads(value["advertisement"])
        except (ValueError, RecursionError):
            place.error("advertisement is not valid JSON", "advertisement")
