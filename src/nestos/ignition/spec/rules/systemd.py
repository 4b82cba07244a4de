"""Rules for units and drop-ins."""

from __future__ import annotations

import re

from nestos.ignition.spec.schema import Place, Value
from nestos.ignition.spec.units import SUFFIXES, UnitError, sections

UNIT_FOLDER = "/etc/systemd/system/"
_INSTANCE = re.compile(r"(.+?)@(.+?)\.service")


def _extension(name: str) -> str:
    """The last dot and what follows it, in the last element of ``name``."""
    _, dot, extension = name.rpartition("/")[2].rpartition(".")
    return dot + extension


def _contents(value: Value, place: Place) -> list[str] | None:
    """The sections that something is said in, or none if the text is no unit, which is reported."""
    try:
        return sections(value.get("contents", ""))
    except UnitError as error:
        place.error(f"invalid unit content: {error}", "contents")
        return None


def unit(value: Value, place: Place) -> None:
    """A unit has a known suffix, can be read, and can be enabled if it is to be."""
    name = value.get("name", "")
    if _extension(name) not in SUFFIXES:
        place.error("invalid systemd unit extension", "name")
    found = _contents(value, place)
    if value.get("enabled") and value.get("contents") and found is not None and "Install" not in found:
        text = f"unit {_quoted(name)} is enabled, but has no install section so enable does nothing"
        place.warning(text, "contents")


def dropin(value: Value, place: Place) -> None:
    """A drop-in is named NAME.conf and can be read."""
    _contents(value, place)
    if _extension(value.get("name", "")) != ".conf":
        place.error("invalid systemd drop-in extension", "name")


def systemd(value: Value, place: Place) -> None:
    """An enabled instance needs a template that says where it is installed."""
    units = value.get("units", [])
    contents = {entry.get("name", ""): entry.get("contents") for entry in units}
    for index, entry in enumerate(units):
        instance = _INSTANCE.fullmatch(entry.get("name", "")) if entry.get("enabled") else None
        template = f"{instance[1]}@.service" if instance else ""
        if instance is None or not contents.get(template):
            continue
        try:
            found = sections(contents[template])
        except UnitError:
            continue  # reported with the template itself
        if "Install" not in found:
            text = f"template unit {_quoted(template)} for {_quoted(instance[0])} doesn't have Install section"
            place.warning(text, "units", index, "contents")


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


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
