"""Variant ``nestos``: this system.

1.0.0 and 1.1.0 speak what openEuler's NestOS guides document, on the bases of fcos 1.4 and 1.5; from 1.2.0 on the
language is our own where the disk is concerned, and has short forms for containers and the agent.
"""

from __future__ import annotations

from nestos.butane.agent import add_agent_settings
from nestos.butane.boot_device import BOOT_DEVICE
from nestos.butane.containers import CONTAINER, add_containers, check_names
from nestos.butane.grub import GRUB
from nestos.butane.schema import Anything, ListOf, key
from nestos.butane.slots_device import BOOT_DEVICE as SLOTS_DEVICE
from nestos.butane.slots_device import add_users_file, add_var
from nestos.butane.variants.variant import Variant, Version, types

ANOTHER_DISK = "this means another disk layout in this version; use version 1.2.0"


def _early(language: int, module: str) -> Version:
    return Version(
        language=language,
        types=types(language, config=module, nestos=module, fcos=module),
        additions=(
            key("boot_device", BOOT_DEVICE, sugar=True, refused=ANOTHER_DISK),
            key("grub", GRUB, sugar=True, refused=ANOTHER_DISK),
        ),
    )


VARIANT = Variant(
    name="nestos",
    note="NestOS",
    versions={
        "1.0.0": _early(4, "v1_0"),
        "1.1.0": _early(5, "v1_1"),
        "1.2.0": Version(
            language=7,
            types=types(7, config="v1_2", nestos="v1_2", fcos="v1_2"),
            additions=(
                key("boot_device", SLOTS_DEVICE, "The disk that the system boots from: how var is kept.", sugar=True),
                key("grub", GRUB, "The boot loader.", sugar=True),
                key("agent", Anything(), "Settings of the update agent, passed through to it.", sugar=True),
                key("containers", ListOf(item=CONTAINER), "Containers that run as services.", sugar=True),
            ),
            rule=check_names,
            includes=True,
            steps=(add_var, add_users_file, add_agent_settings, add_containers),
        ),
    },
)
