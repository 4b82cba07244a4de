"""Rules for file systems, RAID arrays and LUKS volumes."""

from __future__ import annotations

from nestos.ignition.spec.jsontext import JsonError, decode
from nestos.ignition.spec.paths import path_problem
from nestos.ignition.spec.rules.paths import check_path
from nestos.ignition.spec.rules.urls import url_problem
from nestos.ignition.spec.schema import Place, Value
from nestos.ignition.spec.urls import parsed

_LONGEST_LABEL = {"ext4": 16, "btrfs": 256, "xfs": 12, "swap": 15, "vfat": 11}
_WITHOUT_SPARES = ("linear", "raid0", "0", "stripe")
_LEVELS = (*_WITHOUT_SPARES, "raid1", "1", "mirror", "raid4", "4", "raid5", "5", "raid6", "6", "raid10", "10")
_LONGEST_LUKS_LABEL = 47
_LONGEST_TAG = 36
_DESCRIPTION = ("path", "label", "uuid", "wipeFilesystem", "options", "mountOptions")


def filesystem(value: Value, place: Place) -> None:
    """A file system has a device, and a known format if anything else is said about it."""
    if value.get("path"):
        check_path(value["path"], place, "path")
    kind = value.get("format")
    if kind == "virtiofs" and kind in place.traits.formats:
        _virtiofs(value, place)
        return
    check_path(value.get("device", ""), place, "device")
    if kind and kind not in place.traits.formats:
        place.error("invalid filesystem format", "format")
    if not kind and any(value.get(name) for name in _DESCRIPTION):
        text = "format cannot be empty when path, label, uuid, wipeFilesystem, options, or mountOptions is specified"
        place.error(text, "format")
    label = value.get("label", "")
    longest = _LONGEST_LABEL.get(kind or "")
    if label and not kind:
        place.error("filesystem must specify format if label is specified", "label")
    elif longest is not None and len(label.encode()) > longest:
        place.error(f"filesystem labels cannot be longer than {longest} characters when using {kind}", "label")


def _virtiofs(value: Value, place: Place) -> None:
    """A folder that the host shares is found by its tag, and is never made here."""
    if not value.get("device"):
        place.error("path not specified", "device")
    elif len(value["device"].encode()) > _LONGEST_TAG:
        place.error("virtiofs tags cannot be longer than 36 bytes", "device")
    for name in ("label", "uuid", "wipeFilesystem", "options"):
        if value.get(name):
            place.error(f"{name} cannot be used with virtiofs", name)


def devices(value: Value, place: Place) -> None:
    """File systems and the disks of the same config fit together."""
    disks = {entry.get("device", ""): entry for entry in value.get("disks", [])}
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
    level = value.get("level", "")
    if not level and place.traits.may_be_left_out:
        place.error("raid level is required", "level")
    elif level not in _LEVELS:
        place.error("unrecognized raid level", "level")
    elif level in _WITHOUT_SPARES and value.get("spares"):
        place.error("spares unsupported for linear and raid0 arrays", "level")
    if not value.get("devices"):
        place.error("raid devices required", "devices")
    for index, device in enumerate(value.get("devices", [])):
        check_path(device, place, "devices", index)


def luks(value: Value, place: Place) -> None:
    """A volume has a name and a device; secure keys of s390x stand alone."""
    if "/" in value.get("name", ""):
        place.error("device names cannot contain slashes", "name")
    if len(value.get("label", "").encode()) > _LONGEST_LUKS_LABEL:
        place.error("luks device labels cannot be longer than 47 characters", "label")
    device = value.get("device", "")
    problem = path_problem(device) if device else "disk device is required"
    if problem:
        place.error(problem, "device")
    clevis = value.get("clevis", {})
    known_pins = bool(clevis.get("tang") or clevis.get("tpm2") or clevis.get("threshold"))
    custom = clevis.get("custom", {}).get("pin") if place.traits.may_be_left_out else "custom" in clevis
    if custom and known_pins:
        place.error("cannot use custom clevis config with tpm2, tang, or threshold", "clevis")
    source = value.get("keyFile", {}).get("source")
    if source and url_problem(source, place.traits):
        place.error("invalid key-file source", "keys")
    if value.get("cex", {}).get("enabled"):
        if custom or known_pins:
            place.error("cannot use cex with clevis", "cex")
        if source:
            place.error("cannot use key file with cex", "cex")


def custom(value: Value, place: Place) -> None:
    """A custom pin has a name that is supported and a configuration."""
    pin, config = value.get("pin"), value.get("config")
    if not pin and not config and not (value.get("needsNetwork") and place.traits.may_be_left_out):
        return
    pins = place.traits.pins
    if not pin and place.traits.may_be_left_out:
        place.error("missing required custom clevis pin", "pin")
    elif pins is not None and pin not in pins:
        place.error("unsupported clevis pin", "pin")
    if not config:
        place.error("missing required custom clevis config", "config")


def tang(value: Value, place: Place) -> None:
    """A tang server has an HTTP address and a thumbprint; an advertisement is JSON."""
    url = parsed(value.get("url", ""))
    if url is None:
        place.error("unable to parse url", "url")
    elif url.scheme not in ("http", "https"):
        place.error("invalid url scheme", "url")
    if not value.get("thumbprint"):
        place.error("thumbprint is required", "thumbprint")
    if value.get("advertisement"):
        try:
            decode(value["advertisement"].encode())
        except JsonError:
            place.error("advertisement is not valid JSON", "advertisement")
