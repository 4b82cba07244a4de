"""``boot_device``: an encrypted or mirrored root on Fedora CoreOS's disk layout, in a few words.

The sizes and types of partitions are those of that system's image. They never change: a new layout is a new table.
"""

from __future__ import annotations

import re
from typing import Any

from nestos.butane.merge import Generated, lay_over
from nestos.butane.place import Path
from nestos.butane.schema import ListOf, Scalar, Table, key
from nestos.butane.site import Check, Object, Run
from nestos.butane.storage_language import CEX, TANG

UNKNOWN_LAYOUT = "layout must be one of: aarch64, ppc64le, s390x-eckd, s390x-virt, s390x-zfcp, x86_64"
UNKNOWN_OLD_LAYOUT = "layout must be one of: aarch64, ppc64le, x86_64"
TOO_FEW_DEVICES = "mirroring requires at least two devices"
NO_LAYOUT = "boot_device.layout should be specified when boot_device.mirror is specified"
NO_DEVICE = "device is required for layouts: s390x-eckd, s390x-zfcp"
NO_MIRROR_THERE = "mirroring not supported on layouts: s390x-eckd, s390x-zfcp, s390x-virt"
BAD_DEVICE = "device name must start with /dev/dasd on s390x-eckd layout or /dev/sd on s390x-zfcp layout"
CEX_ELSEWHERE = "when using cex the targeted architecture must match s390x"
CEX_WITH_CLEVIS = "cannot use cex with clevis"
NO_METHOD = "no method specified for luks"

KNOWS_S390X = 6  # language version
_REQUIRES_LAYOUT = 7

_BIOS = ("bios", 1, "21686148-6449-6E6F-744E-656564454649")
_PREP = ("prep", 4, "9E1A2D38-C612-4316-AA26-8B49521E5A8B")
_RESERVED = ("reserved", 1, "8DA63339-0007-60C0-C436-083AC8230908")
_ESP = ("esp", 127, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B")
_BOOT_MIB = 384
_FIRST_PARTITIONS = {
    "x86_64": (_BIOS, _ESP),
    "aarch64": (_RESERVED, _ESP),
    "ppc64le": (_PREP, _RESERVED),
}
_S390X = ("s390x-eckd", "s390x-zfcp", "s390x-virt")
_S390X_DISK = {
    "s390x-eckd": re.compile(r"/dev/dasd[a-z]\Z"),
    "s390x-zfcp": re.compile(r"/dev/sd[a-z]\Z"),
}
_S390X_ROOT = {"s390x-eckd": "2", "s390x-zfcp": "4"}


def check_boot_device(check: Check) -> None:
    """Rule of ``boot_device``: the layout is known and can do what is asked for."""
    values, layout = check.values, check.values.get("layout")
    mirrors = values.get("mirror", {}).get("devices", [])
    if mirrors and layout is None:
        report = check.error if check.language >= _REQUIRES_LAYOUT else check.warning
        report(NO_LAYOUT, "mirror")
    if layout is not None:
        _check_layout(check, layout, mirrors)
    luks = values.get("luks", {})
    if luks.get("cex", {}).get("enabled"):
        if layout is None:
            check.error(CEX_ELSEWHERE, "luks", "cex")
        elif not layout.startswith("s390x"):
            check.error(CEX_ELSEWHERE, "layout")
        if luks.get("tang") or luks.get("tpm2"):
            check.error(CEX_WITH_CLEVIS, "luks")
    if len(mirrors) == 1:
        check.error(TOO_FEW_DEVICES, "mirror", "devices")


def _check_layout(check: Check, layout: str, mirrors: list[str]) -> None:
    if check.language < KNOWS_S390X:
        if layout not in _FIRST_PARTITIONS:
            check.error(UNKNOWN_OLD_LAYOUT, "layout")
        return
    device = check.values.get("luks", {}).get("device")
    if layout in _S390X_DISK:
        if not device:
            check.error(NO_DEVICE, "layout")
        elif not _S390X_DISK[layout].search(device):
            check.error(BAD_DEVICE, "layout")
    elif layout not in (*_FIRST_PARTITIONS, *_S390X):
        check.error(UNKNOWN_LAYOUT, "layout")
    if layout.startswith("s390x") and mirrors:
        check.error(NO_MIRROR_THERE, "layout")


def check_luks(check: Check) -> None:
    """Rule of ``boot_device.luks``: a device needs something that unlocks it."""
    values = check.values
    if check.language < _REQUIRES_LAYOUT or not values.get("device"):
        return
    has_tang = any(any(value or name != "url" for name, value in server.items()) for server in values.get("tang", []))
    if not (has_tang or values.get("tpm2") or values.get("cex", {}).get("enabled")):
        check.error(NO_METHOD, "luks")


def check_mirror(check: Check) -> None:
    """Rule of ``boot_device.mirror``: two disks at least."""
    if len(check.values.get("devices", [])) == 1:
        check.error(TOO_FEW_DEVICES, "devices")


def add_boot_device(run: Run, values: Object, config: Object) -> Object:
    """``config`` with the disks, arrays, volumes and file systems of an encrypted or mirrored root below it."""
    wanted = values.get("boot_device", {})
    luks, mirrors = wanted.get("luks", {}), wanted.get("mirror", {}).get("devices", [])
    has_luks = bool(luks.get("tpm2") or luks.get("tang") or luks.get("cex", {}).get("enabled"))
    if not has_luks and not mirrors:
        return config
    generated = Generated()
    if mirrors:
        _add_mirror(generated, wanted.get("layout", "x86_64"), mirrors)
    if has_luks:
        _add_luks(generated, luks, wanted.get("layout", ""), is_mirrored=bool(mirrors))
    device = "/dev/mapper/root" if has_luks else "/dev/md/md-root"
    root = {"device": device, "format": "xfs", "label": "root", "wipeFilesystem": True}
    generated.add(("storage", "filesystems"), root, source=("boot_device",))
    generated.came_from(("boot_device",), ("storage", "filesystems"))
    generated.came_from(("boot_device",), ("storage",))
    return lay_over(run, generated, config)


def _add_mirror(generated: Generated, layout: str, mirrors: list[str]) -> None:
    above: Path = ("boot_device", "mirror")
    for index, device in enumerate(mirrors):
        source: Path = (*above, "devices", index)
        number = index + 1
        partitions: list[Object] = [
            {"label": f"{label}-{number}", "sizeMiB": size, "typeGuid": guid}
            for label, size, guid in _FIRST_PARTITIONS[layout]
        ]
        partitions += [
            {"label": f"boot-{number}", "sizeMiB": _BOOT_MIB},
            {"label": f"root-{number}"},
        ]
        disk = {"device": device, "partitions": partitions, "wipeTable": True}
        generated.add(("storage", "disks"), disk, source=source)
        if _ESP in _FIRST_PARTITIONS[layout]:
            label = f"esp-{number}"
            esp = {
                "device": _by_label(label),
                "format": "vfat",
                "label": label,
                "wipeFilesystem": True,
            }
            generated.add(("storage", "filesystems"), esp, source=source)
    generated.came_from((*above, "devices"), ("storage", "disks"))
    for name, options in (("boot", {"options": ["--metadata=1.0"]}), ("root", {})):
        # The superblock of the boot array is at the end, so that GRUB for BIOS need not know about arrays.
        devices = [_by_label(f"{name}-{index + 1}") for index in range(len(mirrors))]
        array = {"devices": devices, "level": "raid1", "name": f"md-{name}", **options}
        generated.add(("storage", "raid"), array, source=above)
    generated.came_from(above, ("storage", "raid"))
    boot = {
        "device": "/dev/md/md-boot",
        "format": "ext4",
        "label": "boot",
        "wipeFilesystem": True,
    }
    generated.add(("storage", "filesystems"), boot, source=above)


def _add_luks(generated: Generated, luks: Object, layout: str, *, is_mirrored: bool) -> None:
    source: Path = ("boot_device", "luks")
    if layout in _S390X_ROOT:
        device = luks["device"] + _S390X_ROOT[layout]
    else:
        device = "/dev/md/md-root" if is_mirrored else _by_label("root")
    unlock = "cex" if luks.get("cex", {}).get("enabled") else "clevis"
    volume: Object = {
        unlock: {"enabled": True} if unlock == "cex" else clevis_of(luks),
        "device": device,
        **{name: luks[name] for name in ("discard",) if name in luks},
        "label": "luks-root",
        "name": "root",
        "wipeVolume": True,
    }
    path = generated.add(("storage", "luks"), volume, source=source)
    generated.came_from(source, ("storage", "luks"))
    add_luks_origins(generated, luks, source, path, unlock=unlock)


def clevis_of(luks: Object) -> Object:
    """The ``clevis`` object of a short form of luks."""
    servers = luks.get("tang", [])
    tang = [{name: value for name, value in server.items() if value or name != "url"} for server in servers]
    found: dict[str, Any] = {"tang": tang} if tang else {}
    return found | {name: luks[name] for name in ("threshold", "tpm2") if name in luks}


def add_luks_origins(generated: Generated, luks: Object, source: Path, path: Path, *, unlock: str) -> None:
    """What of a generated volume came 1:1 from a key of the short form."""
    generated.came_from((*source, "discard"), (*path, "discard"))
    if unlock == "cex":
        generated.came_from((*source, "enabled"), (*path, "cex", "enabled"))
        return
    for name in ("threshold", "tpm2", "tang"):
        generated.came_from((*source, name), (*path, "clevis", name))
    for index, server in enumerate(luks.get("tang", [])):
        generated.came_from((*source, "tang", index), (*path, "clevis", "tang", index))
        for name in server:
            generated.came_from((*source, "tang", index, name), (*path, "clevis", "tang", index, name))


def _by_label(label: str) -> str:
    return f"/dev/disk/by-partlabel/{label}"


_TEXT, _FLAG = Scalar.TEXT, Scalar.FLAG
_LUKS = Table(
    name="BootDeviceLuks",
    owner="fcos",
    fields=(
        key("cex", CEX, "Unlock by a secure key of s390x.", since=KNOWS_S390X),
        key("discard", _FLAG, "Pass discards on to the disk.", since=5),
        key(
            "device",
            _TEXT,
            "The disk, for the layouts s390x-eckd and s390x-zfcp.",
            since=KNOWS_S390X,
        ),
        key("tang", TANG, "Servers that unlock the root."),
        key(
            "threshold",
            Scalar.NUMBER,
            "How many of TPM and servers must agree; 1 if not set.",
        ),
        key("tpm2", _FLAG, "The machine's TPM unlocks the root."),
    ),
    rule=check_luks,
)
_MIRROR = Table(
    name="BootDeviceMirror",
    owner="fcos",
    fields=(
        key(
            "devices",
            ListOf(item=_TEXT),
            "The disks, at least two. All that is on them is lost.",
        ),
    ),
    rule=check_mirror,
)
BOOT_DEVICE = Table(
    name="BootDevice",
    owner="fcos",
    fields=(
        key(
            "layout",
            _TEXT,
            "The machine's architecture: " + UNKNOWN_LAYOUT.partition(": ")[2] + ".",
        ),
        key("luks", _LUKS, "Encrypt the root."),
        key(
            "mirror",
            _MIRROR,
            "Keep the same on several disks, so that the node boots when one is lost.",
        ),
    ),
    rule=check_boot_device,
)
"""The short form of an encrypted or mirrored root."""
