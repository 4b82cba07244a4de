"""Rules for units and drop-ins."""

from __future__ import annotations

import posixpath

from nestos.ignition.spec.schema import Place, Value
from nestos.ignition.spec.units import SUFFIXES, UnitError, sections

UNIT_FOLDER = "/etc/systemd/system/"


def _contents(value: Value, place: Place) -> list[str]:
    try:
        return sections(value.get("contents", ""))
    except UnitError as error:
        place.error(f"invalid unit content: {error}", "contents")
        return ["Install"]


def unit(value: Value, place: Place) -> None:
    """A unit has a known suffix, can be read, and can be enabled if it is to be."""
    name = value.get("name", "")
    if posixpath.splitext(name.lstrip("."))[1] not in SUFFIXES and name not in SUFFIXES:
        place.error("invalid systemd unit extension", "name")
    elif "/" in name:
        place.error("unit names cannot contain slashes", "name")
    if value.get("enabled") and value.get("contents") and "Install" not in _contents(value, place):
        place.warning(f'unit "{name}" is enabled, but has no install section so enable does nothing', "contents")
    elif value.get("contents") and not value.get("enabled"):
        _contents(value, place)


def dropin(value: Value, place: Place) -> None:
    """A drop-in is named NAME.conf and can be read."""
    name = value.get("name", "")
    if not name.endswith(".conf"):
        place.error("invalid systemd drop-in extension", "name")
    elif "/" in name:
        place.error("drop-in names cannot contain slashes", "name")
    if value.get("contents"):
        _contents(value, place)


def systemd(value: Value, place: Place) -> None:
    """An enabled instance needs a template that says where it is installed."""
    units = value.get("units", [])
    by_name = {entry.get("name", ""): index for index, entry in enumerate(units)}
    for entry in units:
        name = entry.get("name", "")
        base, at, rest = name.partition("@")
        if not at or not entry.get("enabled") or rest.startswith("."):
            continue
        template = f"{base}@{posixpath.splitext(rest)[1]}"
        index = by_name.get(template)
        if index is None or not units[index].get("contents"):
            continue
        try:
            names = sections(units[index]["contents"])
        except UnitError:
            continue
        if "Install" not in names:
            text = f'template unit "{template}" for "{name}" doesn\'t have Install section'
            place.warning(text, "units", index, "contents")


def conflicts(value: Value, place: Place) -> None:
    """Nothing of the storage section stands where a unit or drop-in of the same config is written."""
    written = set()
    for entry in value.get("systemd", {}).get("units", []):
        path = UNIT_FOLDER + entry.get("name", "")
        if entry.get("contents"):
            written.add(path)
        written |= {f"{path}.d/{part.get('name', '')}" for part in entry.get("dropins", []) if part.get("contents")}
    for kind in ("files", "directories", "links"):
        for index, entry in enumerate(value.get("storage", {}).get(kind, [])):
            if entry.get("path") in written:
                place.error("path conflicts with systemd unit or dropin", "storage", kind, index, "path")
