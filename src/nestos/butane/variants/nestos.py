"""Variant ``nestos``: this system. 1.0.0 speaks what openEuler's NestOS guide documents, on the base of fcos 1.4."""

from __future__ import annotations

from nestos.butane.variants.variant import BOOT_DEVICE, GRUB, Variant, Version

VARIANT = Variant(
    name="nestos",
    versions={
        "1.0.0": Version(language=4, ignition="3.3.0", additions={"boot_device": BOOT_DEVICE}),
        "1.1.0": Version(language=5, ignition="3.4.0", additions={"boot_device": BOOT_DEVICE, "grub": GRUB}),
    },
)
