"""Variant ``fcos``: Fedora CoreOS, the language that most existing configs are written in."""

from __future__ import annotations

from nestos.butane.boot_device import BOOT_DEVICE, add_boot_device
from nestos.butane.grub import GRUB, add_users_file
from nestos.butane.partitions import check_layout, judge_numbers, judge_partitions
from nestos.butane.schema import key
from nestos.butane.variants.variant import Variant, Version, types

_BOOT_DEVICE = key(
    "boot_device",
    BOOT_DEVICE,
    "The disk that the system boots from, in a short form.",
    sugar=True,
)
_GRUB = key("grub", GRUB, "The boot loader.", sugar=True)


def _early(language: int, module: str) -> Version:
    """Before ``boot_device``."""
    return Version(language=language, types=types(language, config=module), judge=judge_numbers)


def _with_boot_device(language: int, module: str) -> Version:
    return Version(
        language=language,
        types=types(language, config=module, fcos=module),
        additions=(_BOOT_DEVICE,),
        steps=(add_boot_device,),
        judge=judge_partitions,
    )


def _with_grub(language: int, module: str) -> Version:
    return Version(
        language=language,
        types=types(language, config=module, fcos=module),
        additions=(_BOOT_DEVICE, _GRUB),
        rule=check_layout,
        steps=(add_boot_device,),
        judge=judge_partitions,
        last_steps=(add_users_file,),
    )


VARIANT = Variant(
    name="fcos",
    note="Fedora CoreOS",
    versions={
        "1.0.0": _early(1, "v1_0"),
        "1.1.0": _early(2, "v1_1"),
        "1.2.0": _early(3, "v1_2"),
        "1.3.0": _with_boot_device(3, "v1_3"),
        "1.4.0": _with_boot_device(4, "v1_4"),
        "1.5.0": _with_grub(5, "v1_5"),
        "1.6.0": _with_grub(6, "v1_6"),
        "1.7.0": _with_grub(7, "v1_7"),
        "1.8.0-experimental": _with_grub(8, "v1_8_exp"),
    },
)
