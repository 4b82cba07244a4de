"""Rules for files, directories and links, alone and together."""

from __future__ import annotations

from nestos.ignition.spec.paths import joined
from nestos.ignition.spec.schema import Place, Value

_LARGEST_MODE = 0o7777
_SPECIAL = 0o7000


def owner(value: Value, place: Place) -> None:
    """A user or group is given by number or by name."""
    if "id" in value and value.get("name"):
        place.error("cannot set both id and name")


def mode(value: Value, place: Place) -> None:
    """Permission bits; the special ones only have an effect since 3.6."""
    bits = value.get("mode")
    if bits is None:
        return
    if not 0 <= bits <= _LARGEST_MODE:
        place.error("illegal file mode", "mode")
    if bits & _SPECIAL and not place.traits.special_modes:
        text = "setuid/setgid/sticky bits are not supported or functional in spec versions older than 3.6.0"
        place.warning(text, "mode")


def overwrite(value: Value, place: Place) -> None:
    """A file may only replace another one with something."""
    if value.get("overwrite") and "source" not in value.get("contents", {}):
        place.error("overwrite must be false if source is unspecified", "overwrite")


def storage(value: Value, place: Place) -> None:
    """Nothing is written through a link of the same config; hard links do not lead to directories."""
    links = [entry.get("path", "") + "/" for entry in value.get("links", [])]
    for kind, word in (("directories", "directory"), ("files", "file")):
        for index, entry in enumerate(value.get(kind, [])):
            _not_below(entry, links, place, f"{word} path includes link in config", kind, index)
    directories = {entry.get("path", "") for entry in value.get("directories", [])}
    for index, entry in enumerate(value.get("links", [])):
        _not_below(entry, links, place, "link path includes link in config", "links", index)
        if place.traits.may_be_left_out and not entry.get("target"):
            place.error("link target is required", "links", index, "target")
        elif entry.get("hard"):
            _hard(entry, directories, place, index)


def _not_below(entry: Value, links: list[str], place: Place, text: str, *below: str | int) -> None:
    for _ in filter(entry.get("path", "").startswith, links):
        place.error(text, *below)


def _hard(entry: Value, directories: set[str], place: Place, index: int) -> None:
    if joined(entry.get("path", ""), entry.get("target", "")) in directories:
        place.error("hard link target is a directory", "links", index)
    for kind in ("user", "group"):
        for name in ("id", "name"):
            if name in entry.get(kind, {}):
                place.warning("user/group ignored for hard link", "links", index, kind, name)
