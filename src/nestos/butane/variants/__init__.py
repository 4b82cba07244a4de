"""The variants of the language, one file each. A new one is its file and one line here."""

from __future__ import annotations

from nestos.butane.variants import fcos, nestos
from nestos.butane.variants.variant import Variant, Version

VARIANTS: dict[str, Variant] = {variant.name: variant for variant in (fcos.VARIANT, nestos.VARIANT)}

__all__ = ["VARIANTS", "Variant", "Version"]
