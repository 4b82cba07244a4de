"""Rules for files, directories and links, alone and together."""

from __future__ import annotations

from nestos.ignition.spec.rules.paths import cleaned
from nestos.ignition.spec.schema import Place, Value

_LARGEST_MODE = 0o7777
_SPECIAL = 0o7000


def owner(value: Value, place: Place) -> None:
    """A user or group is given by number or by name."""
    for kind in ("user", "group"):
        given = value.get(kind, {})
        if given.get("id") is not None and given.get("name"):
            place.error("cannot set both id and name", kind)


def mode(value: Value, place: Place) -> None:
    """Permission bits; the special ones only have an effect since 3.6."""
    bits = value.get("mode")
    if bits is None:
        return
    if not 0 <= bits <= _LARGEST_MODE:
        place.error("illegal file mode", "mode")
    if bits & _SPECIAL and not place.traits.special_modes:
        place.warning("setuid/setgid/sticky bits are not supported in spec versions older than 3.6.0", "mode")


def overwrite(value: Value, place: Place) -> None:
    """A file may only replace another one with something."""
    if value.get("overwrite") and value.get("contents", {}).get("source") is None:
        place.error("overwrite must be false if source is unspecified", "overwrite")


def link(value: Value, place: Place) -> None:
    """A link needs a target; a hard link shares its target's owner."""
    if not value.get("target"):
        place.error("link target is required", "target")
    if value.get("hard"):
        for kind in ("user", "group"):
            if value.get(kind, {}).get("id") is not None or value.get(kind, {}).get("name"):
                place.warning("user/group ignored for hard link", kind)


def storage(value: Value, place: Place) -> None:
    """Nothing is written through a link of the same config; hard links do not lead to directories."""
    links = {entry.get("path", "") for entry in value.get("links", [])}
    for kind, word in (("files", "file"), ("directories", "directory"), ("links", "link")):
        for index, entry in enumerate(value.get(kind, [])):
            if any(above in links for above in _above(entry.get("path", ""))):
                place.error(f"{word} path includes link in config", kind, index)
    directories = {entry.get("path", "") for entry in value.get("directories", [])}
    for index, entry in enumerate(value.get("links", [])):
        if entry.get("hard") and entry.get("target") and cleaned(entry["target"]) in directories:
            place.error("hard link target is a directory", "links", index)


def _above(path: str) -> list[str]:
    """The paths of the folders above ``path``, without the root."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(2, len(parts))]
