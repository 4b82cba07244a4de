"""The platforms that images are made for: what each wants of an image, as one table.

``consoles`` are kernel arguments in place of the release's own ``console=`` ones; the last one is ``/dev/console``.
None of them: the release's stay. They are those of the field (Fedora CoreOS's ``platforms.yaml``): the serial line
where the cloud shows and records it, the screen where people look at that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nestos.base.errors import InputError
from nestos.base.report import nearest

_SERIAL = ("console=tty0", "console=ttyS0,115200n8")
_SCREEN = ("console=ttyS0,115200n8", "console=tty0")
_GIB = 1 << 30
COMPRESSIONS = ("xz", "gz", "zst")
"""Suffixes that any format of one file may carry."""


@dataclass(frozen=True, kw_only=True)
class Platform:
    """A platform. ``formats``: what it takes, the field's own choice first."""

    name: str
    formats: tuple[str, ...]
    ignition_id: str = ""
    """Ignition's word; empty: the name."""
    consoles: tuple[str, ...] = ()
    sector_bytes: int = 512
    size_unit_bytes: int = 1 << 20
    """The disk's size is a multiple of it."""
    stream_prefix: str = ""
    """What stream metadata put before the format, such as ``4k.`` for ``metal``."""
    stream_name: str = ""
    """The platform in stream metadata; empty: the name."""

    @property
    def ignition_platform(self) -> str:
        """The value of ``ignition.platform.id``."""
        return self.ignition_id or self.name


_ALL = (
    Platform(name="metal", formats=("raw.xz", "raw.zst", "raw.gz", "raw")),
    Platform(
        name="metal4k",
        formats=("raw.xz", "raw.zst", "raw.gz", "raw"),
        ignition_id="metal",
        sector_bytes=4096,
        stream_prefix="4k.",
        stream_name="metal",
    ),
    Platform(name="qemu", formats=("qcow2.xz", "qcow2", "raw")),
    Platform(name="openstack", formats=("qcow2.xz", "qcow2", "raw"), consoles=_SCREEN),
    # Its engine hands a config over as OpenStack does, on a config drive; Ignition has no word of its own for it.
    Platform(name="ovirt", formats=("ova", "qcow2"), ignition_id="openstack", consoles=_SCREEN),
    Platform(name="vmware", formats=("ova", "vmdk"), consoles=_SCREEN),
    Platform(name="hyperv", formats=("vhdx", "vhd", "vhdx.xz"), consoles=_SERIAL),
    # Azure takes a fixed VHD of whole MiB, and nothing else.
    Platform(name="azure", formats=("vhd.xz", "vhd"), consoles=_SERIAL),
    Platform(name="aws", formats=("vmdk.xz", "vmdk", "raw.xz", "raw"), consoles=_SERIAL),
    # Compute Engine takes disks of whole GiB, as disk.raw in a tar archive of GNU's form.
    Platform(name="gcp", formats=("tar.gz", "raw"), consoles=_SERIAL, size_unit_bytes=_GIB),
)
PLATFORMS: Mapping[str, Platform] = {item.name: item for item in _ALL}


def find(name: str) -> Platform:
    """The platform ``name``. Raises ``InputError`` naming the nearest known one."""
    try:
        return PLATFORMS[name]
    except KeyError:
        known = ", ".join(PLATFORMS)
        raise InputError(f"no platform is called {name!r}{nearest(name, PLATFORMS)}", hint=f"known: {known}") from None


def split(form: str) -> tuple[str, str]:
    """A format's word as the format itself and its compression (empty: none): ``raw.xz`` is ``("raw", "xz")``."""
    base, _, last = form.rpartition(".")
    return (base, last) if base and last in COMPRESSIONS and base != "tar" else (form, "")


def with_consoles(kargs: Sequence[str], consoles: Sequence[str]) -> tuple[str, ...]:
    """``kargs`` with ``consoles`` in the place of their own ``console=`` arguments."""
    if not consoles:
        return tuple(kargs)
    return (*consoles, *(karg for karg in kargs if not karg.startswith("console=")))
