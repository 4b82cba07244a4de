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
REMOVED = {
    (
        "rhcos",
        "0.1.0",
    ): "rhcos variant has been removed; use openshift variant instead: "
    "https://coreos.github.io/butane/upgrading-openshift/"
}
"""Variants that once were, each with the sentence that says what to do."""

__all__ = ["REMOVED", "VARIANTS", "Variant", "Version"]
