"""Variants ``r4e`` and ``fiot``: RHEL for Edge and Fedora IoT, whose disks are made by their installer."""

from __future__ import annotations

from nestos.butane.variants.variant import Variant, Version, types

_REFUSED = {
    "kernelArguments": "kernel argument customization is not supported in this spec version",
    "storage.disks": "disk customization is not supported in this spec version",
    "storage.filesystems": "filesystem customization is not supported in this spec version",
    "storage.luks": "luks is not supported in this spec version",
    "storage.raid": "raid is not supported in this spec version",
}


def _version(language: int, module: str) -> Version:
    return Version(language=language, types=types(language, config=module), refused=_REFUSED)


R4E = Variant(
    name="r4e",
    note="RHEL for Edge",
    versions={
        "1.0.0": _version(4, "v1_0"),
        "1.1.0": _version(5, "v1_1"),
        "1.2.0-experimental": _version(8, "v1_2_exp"),
    },
)
FIOT = Variant(
    name="fiot",
    note="Fedora IoT",
    versions={
        "1.0.0": _version(5, "v1_0"),
        "1.1.0-experimental": _version(8, "v1_1_exp"),
    },
)
