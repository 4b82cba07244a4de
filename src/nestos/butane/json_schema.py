"""A JSON Schema (draft 2020-12) of the language for editors, made from the same tables that the translation uses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nestos.butane.schema import Field, Kind, ListOf, Scalar, Table, TextMap
from nestos.butane.variants import VARIANTS

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TYPES: dict[Scalar, str | list[str]] = {
    Scalar.TEXT: ["string", "number", "boolean"],  # a plain word is text where text is wanted: 1.4.0, 8080, yes
    Scalar.NUMBER: "integer",
    Scalar.FLAG: "boolean",
}


def of_version(variant: str, version: str) -> dict[str, Any]:
    """The schema of one version of a variant."""
    definitions = _Definitions()
    config = definitions.config(variant, version)
    title = f"Butane config, {variant} {version}"
    return {"$schema": _DRAFT, "title": title, **config, "$defs": definitions.found}


def of_variants(variants: Iterable[str] = ()) -> dict[str, Any]:
    """One schema for all versions of the variants, of all variants if none is named: the header chooses."""
    names = list(variants) or list(VARIANTS)
    choices = [(name, version) for name in names for version in VARIANTS[name].versions]
    definitions = _Definitions()
    return {
        "$schema": _DRAFT,
        "title": "Butane config",
        "type": "object",
        "required": ["variant", "version"],
        "properties": {
            "variant": {"enum": names},
            "version": {"enum": list(dict.fromkeys(version for _, version in choices))},
        },
        "allOf": [
            {
                "if": {"properties": {"variant": {"const": name}, "version": {"const": version}}},
                "then": definitions.config(name, version),
            }
            for name, version in choices
        ],
        "$defs": definitions.found,
    }


class _Definitions:
    """The objects of the language, each distinct shape once."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def config(self, variant: str, version: str) -> dict[str, Any]:
        """The whole config in one version."""
        chosen = VARIANTS[variant].versions[version]
        found = self._object(chosen.table, chosen.language)
        found["required"] = ["variant", "version"]
        found["properties"]["variant"] = {"const": variant}
        found["properties"]["version"] = {"const": version}
        return found

    def _object(self, table: Table, language: int) -> dict[str, Any]:
        fields = table.usable(language)
        found: dict[str, Any] = {
            "type": "object",
            "additionalProperties": False,
            "properties": {item.yaml: self._field(item, language) for item in fields},
        }
        required = [item.yaml for item in fields if language <= item.required_until and not item.sugar]
        return found | ({"required": required} if required else {})

    def _reference(self, table: Table, language: int) -> dict[str, Any]:
        shape = self._object(table, language)
        name, count = table.name, 1
        while name in self.found and self.found[name] != shape:
            count += 1
            name = f"{table.name}{count}"
        self.found[name] = shape
        return {"$ref": f"#/$defs/{name}"}

    def _field(self, item: Field, language: int) -> dict[str, Any]:
        found = self._kind(item.kind, language)
        return {"description": item.note, **found} if item.note else found

    def _kind(self, kind: Kind, language: int) -> dict[str, Any]:
        if isinstance(kind, Scalar):
            return {"type": _TYPES[kind]}
        if isinstance(kind, Table):
            return self._reference(kind, language)
        if isinstance(kind, ListOf):
            return {"type": "array", "items": self._kind(kind.item, language)}
        if isinstance(kind, TextMap):
            return {"type": "object", "additionalProperties": {"type": _TYPES[Scalar.TEXT]}}
        return {"type": "object"}
