"""The OVF environment: an XML document with properties that a platform hands to a machine (DMTF DSP0243)."""

from __future__ import annotations

from collections.abc import Collection
from xml.parsers import expat

from nestos.ignition.engine.transport import FetchError

_NAMESPACE = "http://schemas.dmtf.org/ovf/environment/1"


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def properties(document: bytes) -> dict[str, str]:
    """The properties in ``document``, as far as it can be read; namespaces are not looked at."""
    found: dict[str, str] = {}
    path: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        path.append(_local(name))
        if path[1:] == ["PropertySection", "Property"]:
            values = {_local(key): value for key, value in attributes.items()}
            found[values.get("key", "")] = values.get("value", "")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: path.pop()
    try:
        parser.Parse(document, True)
    except expat.ExpatError:
        return found
    return found


def without(document: bytes, names: Collection[str]) -> bytes:
    """``document`` without the properties ``names``, otherwise byte for byte the same. Raises ``FetchError``.

    Only what is exactly a property, by its namespaces too, is taken out.
    """
    wanted = [f"{_NAMESPACE} {name}" for name in ("Environment", "PropertySection")]
    spans: list[tuple[int, int]] = []
    path: list[str] = []
    begun: list[int] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if path == wanted and name.startswith(f"{_NAMESPACE} ") and attributes.get(f"{_NAMESPACE} key") in names:
            begun.append(parser.CurrentByteIndex)
        path.append(name)

    def end(_: str) -> None:
        path.pop()
        if path == wanted and begun:
            here = parser.CurrentByteIndex
            closes = document.startswith(b"</", here)
            spans.append((begun.pop(), document.index(b">", here) + 1 if closes else here))

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        raise FetchError(f"parsing OVF environment: {error}") from error
    for first, last in reversed(spans):
        document = document[:first] + document[last:]
    return document
