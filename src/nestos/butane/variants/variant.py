"""What a variant is: a name and its versions, each a choice of language, Ignition version and additions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nestos.butane.language import config
from nestos.butane.schema import Kind, Refused, Table
from nestos.butane.site import Level

BOOT_DEVICE = Refused(
    "boot_device is not supported by this version of butane; write the disks, raid, luks and filesystems in full"
)
GRUB = Refused("grub is not supported by this version of butane; write the file with the passwords under storage.files")


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a variant."""

    language: int
    """Version of the base language, see ``nestos.butane.language``."""
    ignition: str
    """Version of the Ignition config that it makes."""
    additions: Mapping[str, Kind] = field(default_factory=dict)
    """Top-level keys that the variant adds to the base language."""
    mounts_below: tuple[str, ...] = ()
    """Folders that may hold a mount point with a generated unit; empty for anywhere."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A family of operating systems that configs are written for."""

    name: str
    versions: Mapping[str, Version]

    def table(self, version: str) -> Table:
        """The table of a whole config of that version."""
        return config(*self.versions[version].additions.items())

    def level(self, version: str) -> Level:
        """What the version means for the base language."""
        known_from: dict[int, str] = {}
        for name, item in self.versions.items():
            for language in range(1, item.language + 1):
                known_from.setdefault(language, name)
        chosen = self.versions[version]
        return Level(language=chosen.language, known_from=known_from, mounts_below=chosen.mounts_below)
