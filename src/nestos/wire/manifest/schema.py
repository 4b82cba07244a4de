"""The manifest's JSON Schema (draft 2020-12), for editors, made from the table of keys.

It says what one file may hold. What only several keys together can get wrong (an undefined repository, an excluded
package that is wanted) is the loader's to find.
"""

from __future__ import annotations

from nestos.wire.manifest.keys import object_schema
from nestos.wire.manifest.shapes import Schema
from nestos.wire.manifest.treefile import ARCHITECTURES, BY_NAME, TABLE


def schema() -> Schema:
    """The schema of one manifest file."""
    document = object_schema(TABLE)
    packages = BY_NAME["packages"].shape.schema()
    for arch in ARCHITECTURES:
        document["properties"][f"packages-{arch}"] = {"description": f"`packages` on {arch} only.", **packages}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "NestOS manifest",
        "description": "rpm-ostree's treefile language with the additions repositories and nestos.",
        **document,
    }
