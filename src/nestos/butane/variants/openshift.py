"""Variant ``openshift``: nodes of OpenShift, the language of ``fcos`` wrapped in a MachineConfig."""

from __future__ import annotations

from dataclasses import replace

from nestos.butane.machine_config import METADATA, SETTINGS, Operator, check_cex
from nestos.butane.schema import key
from nestos.butane.variants import fcos
from nestos.butane.variants.variant import Variant, Version, types

_ADDITIONS = (
    key("metadata", METADATA, "The MachineConfig's name and labels.", sugar=True),
    key(
        "openshift",
        SETTINGS,
        "What a MachineConfig has besides an Ignition config.",
        sugar=True,
    ),
)

_USERS = "spec.config.passwd.users."
_USER_FIELDS = (
    "gecos", "groups", "homeDir", "noCreateHome", "noLogInit", "noUserGroup", "primaryGroup", "shell", "shouldExist",
    "system", "uid",
)  # fmt: skip
_NO_USER_FIELD = (
    'fields other than "name", "ssh_authorized_keys", and "password_hash" (4.13.0+) are not supported '
    "in this spec version"
)
_COMPRESSION = "spec.config.storage.files.contents.compression"
_REFUSED = {
    "spec.config.passwd.groups": "groups are not supported in this spec version",
    **{_USERS + name: _NO_USER_FIELD for name in _USER_FIELDS},
    "spec.config.storage.directories": "directories are not supported in this spec version",
    "spec.config.storage.files.append": "appending to files is not supported in this spec version",
    "spec.config.storage.files.contents.httpHeaders": "file HTTP headers are not supported in this spec version",
    "spec.config.storage.links": "links are not supported in this spec version",
}
_NO_PASSWORD = {_USERS + "passwordHash": _NO_USER_FIELD}
_NO_COMPRESSION = {_COMPRESSION: "file compression is not supported in this spec version"}
_NO_KERNEL_ARGUMENTS = {
    "spec.config.kernelArguments": "this section cannot be used for kernel arguments in this spec version; "
    "use openshift.kernel_arguments instead"
}


def _version(minor: int, *, suffix: str = "") -> Version:
    """Version 4.``minor``: which ``fcos`` it stands on, and what its operator supports."""
    if minor < 14:
        name = "1.3.0"
    else:
        name = "1.5.0" if minor < 19 else "1.6.0" if not suffix else "1.8.0-experimental"
    base = fcos.VARIANT.versions[name]
    refused = {
        **_REFUSED,
        **(_NO_PASSWORD if minor < 13 else {}),
        **(_NO_COMPRESSION if minor < 10 else {}),
        **(_NO_KERNEL_ARGUMENTS if minor >= 14 else {}),
    }
    return replace(
        base,
        types=types(
            base.language,
            fcos=base.types["fcos"],
            config=f"v4_{minor}{suffix}",
            openshift=f"v4_{minor}{suffix}",
        ),
        additions=(*base.additions, *_ADDITIONS),
        rule=check_cex if minor >= 19 else base.rule,
        refused=refused,
        zero_is_fine=frozenset((_COMPRESSION,)),
        operator=Operator(
            sets_cipher=minor < 20,
            refuses_special_modes=minor >= 10,
            refuses_none=minor >= 14,
            moves_grub_users=bool(suffix),
        ),
        compresses=minor >= 10,
    )


VARIANT = Variant(
    name="openshift",
    note="OpenShift, as MachineConfig",
    versions={
        **{f"4.{minor}.0": _version(minor) for minor in range(8, 23)},
        "4.23.0-experimental": _version(23, suffix="_exp"),
    },
)
