"""Variant ``fcos``: Fedora CoreOS, the language that most existing configs are written in."""

from __future__ import annotations

from nestos.butane.variants.variant import BOOT_DEVICE, GRUB, Variant, Version

VARIANT = Variant(
    name="fcos",
    versions={
        "1.0.0": Version(language=1, ignition="3.0.0"),
        "1.1.0": Version(language=2, ignition="3.1.0"),
        "1.2.0": Version(language=3, ignition="3.2.0"),
        "1.3.0": Version(language=3, ignition="3.2.0", additions={"boot_device": BOOT_DEVICE}),
        "1.4.0": Version(language=4, ignition="3.3.0", additions={"boot_device": BOOT_DEVICE}),
        "1.5.0": Version(language=5, ignition="3.4.0", additions={"boot_device": BOOT_DEVICE, "grub": GRUB}),
        "1.6.0": Version(
            language=6,
            ignition="3.5.0",
            additions={"boot_device": BOOT_DEVICE, "grub": GRUB},
            mounts_below=("/etc", "/var"),
        ),
    },
)
