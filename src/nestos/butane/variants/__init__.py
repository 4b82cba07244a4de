"""The variants of the language, one file each. A new one is its file and one line here."""

from __future__ import annotations

from nestos.butane.variants import fcos, flatcar, nestos, openshift, r4e
from nestos.butane.variants.variant import Variant, Version

VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        nestos.VARIANT,
        fcos.VARIANT,
        flatcar.VARIANT,
        openshift.VARIANT,
        r4e.R4E,
        r4e.FIOT,
    )
}

__all__ = ["VARIANTS", "Variant", "Version"]
