"""Variant ``flatcar``: Flatcar Container Linux, the base language without what its initramfs cannot do."""

from __future__ import annotations

from nestos.butane.variants.variant import Variant, Version, types

_NO_CLEVIS = {"storage.luks.clevis": "clevis is not supported in this spec version"}
_NO_CEX = {"storage.luks.cex": "cex is not currently supported on the target platform"}

VARIANT = Variant(
    name="flatcar",
    note="Flatcar Container Linux",
    versions={
        "1.0.0": Version(language=4, types=types(4, config="v1_0"), refused=_NO_CLEVIS),
        "1.1.0": Version(language=5, types=types(5, config="v1_1"), refused=_NO_CLEVIS),
        "1.2.0-experimental": Version(language=8, types=types(8, config="v1_2_exp"), refused=_NO_CEX),
    },
)
