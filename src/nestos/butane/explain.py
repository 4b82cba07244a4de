"""What a key does, which versions know it and what it holds: from the same tables that the translation uses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nestos.base.report import nearest
from nestos.butane.place import Path
from nestos.butane.schema import Anything, Field, Kind, ListOf, Scalar, Table, TextMap
from nestos.butane.variants import VARIANTS

_WORDS = {Scalar.TEXT: "text", Scalar.NUMBER: "whole number", Scalar.FLAG: "true or false"}


class UnknownKeyError(Exception):
    """No version of the variant has the key; the sentence names the nearest one."""


def explain(path: str, *, variant: str, version: str = "") -> str:
    """The explanation of the key at ``path`` (``$.storage.files.0.mode``, indexes may be left out).

    ``version`` is the one that the key's fields are listed for; the newest stable one that knows the key if empty.
    Raises ``UnknownKeyError``.
    """
    parts = [part for part in re.split(r"[.\[\]]+", path.removeprefix("$")) if part and not part.isdigit()]
    versions = VARIANTS[variant].versions
    known = [name for name in versions if _find(variant, name, parts) is not None]
    if not known or (version and version not in known):
        raise UnknownKeyError(_unknown(parts, variant=variant, version=version or _newest(list(versions))))
    chosen = version or _newest(known)
    found = _find(variant, chosen, parts)
    assert found is not None
    shown = "$" + "".join(f".{part}" for part in parts)
    lines = [f"{shown} ({_described(found.kind)})" if parts else f"{shown}: the config"]
    if found.note:
        lines += [f"  {found.note}"]
    lines += [f"  In {variant} {_since(known, list(versions))}."]
    inner = _table_in(found.kind)
    if inner is not None:
        language = versions[chosen].language
        width = max(len(item.yaml) for item in inner.usable(language))
        lines += ["", f"Keys in {chosen}:"]
        lines += [f"  {item.yaml:{width}}  {item.note}" for item in inner.usable(language)]
    return "\n".join(lines) + "\n"


def paths(table: Table, language: int, above: Path = ()) -> Iterator[tuple[Path, Field]]:
    """Every key of a table and of the tables in it, with its path."""
    for item in table.usable(language):
        yield (*above, item.yaml), item
        inner = _table_in(item.kind)
        if inner is not None:
            yield from paths(inner, language, (*above, item.yaml))


def _newest(versions: list[str]) -> str:
    stable = [name for name in versions if "-" not in name]
    return (stable or versions)[-1]


def _find(variant: str, version: str, parts: list[str]) -> Field | None:
    chosen = VARIANTS[variant].versions[version]
    found: Field | None = Field(
        yaml="", json="", kind=chosen.table, since=1, sugar=False, required_until=0, plain=False, note=""
    )
    for part in parts:
        table = _table_in(found.kind) if found is not None else None
        if table is None:
            return None
        found = next((item for item in table.usable(chosen.language) if item.yaml == part), None)
    return found


def _unknown(parts: list[str], *, variant: str, version: str) -> str:
    for length in range(len(parts) - 1, -1, -1):
        above = _find(variant, version, parts[:length])
        table = _table_in(above.kind) if above is not None else None
        if table is not None:
            names = [item.yaml for item in table.usable(VARIANTS[variant].versions[version].language)]
            shown = ".".join(["$", *parts[: length + 1]])
            return f"{variant} {version} does not know {shown}{nearest(parts[length], names)}"
    return f"{variant} {version} does not know {'.'.join(['$', *parts])}"


def _since(known: list[str], versions: list[str]) -> str:
    if known == versions:
        return "since the first version"
    first, last = known[0], known[-1]
    return f"since {first}" if last == versions[-1] else f"{first} to {last}"


def _table_in(kind: Kind) -> Table | None:
    inner = kind.item if isinstance(kind, ListOf) else kind
    return inner if isinstance(inner, Table) else None


def _described(kind: Kind) -> str:
    if isinstance(kind, Scalar):
        return _WORDS[kind]
    if isinstance(kind, ListOf):
        return "list of objects" if isinstance(kind.item, Table) else f"list, each a {_WORDS[kind.item]}"
    return {TextMap: "any keys, each with a text", Anything: "any keys"}.get(type(kind), "object")
