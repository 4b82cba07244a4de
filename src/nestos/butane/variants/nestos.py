"""Variant ``nestos``: this system. 1.0.0 speaks what openEuler's NestOS guide documents, on the base of fcos 1.4."""

from __future__ import annotations

from nestos.butane.variants.variant import Variant, Version, types

VARIANT = Variant(
    name="nestos",
    note="NestOS",
    versions={
        "1.0.0": Version(language=4, types=types(4, config="v1_0", nestos="v1_0")),
        "1.1.0": Version(language=5, types=types(5, config="v1_1", nestos="v1_1")),
    },
)
