"""What is where on a live ISO, and what may be changed there in place: the Ignition area and the kernel arguments.

The concept is coreos-installer's, under names of our own: ``nestos/igninfo.json`` names a file of fixed size that an
archive with the config goes into (the boot loader hands it over as one more initramfs; zeros are no archive to the
kernel), ``nestos/kargs.json`` tells the default arguments and each place that has them.
"""

from __future__ import annotations

import re

from nestos.wire import cpio, live
from nestos.wire.live import Conf

KERNEL = "images/pxeboot/vmlinuz"
INITRAMFS = "images/pxeboot/initrd.img"
CONF_ARCHIVE = "images/conf.img"
"""An archive with the ``Conf`` of the live image, for the boot loader to hand over behind the initramfs."""
IGNITION_AREA = "images/ignition.img"
IMAGE = "images/live.img"
MENU = "boot/grub/grub.cfg"
IGNITION_INFO = "nestos/igninfo.json"
KARGS_INFO = "nestos/kargs.json"
FEATURES = "nestos/features.json"

AREA_BYTES = 256 << 10
"""For an embedded config: the original's size."""
CONFIG = "config.ign"
"""The name of the Ignition config in an archive."""
NETWORK = "etc/nestos-live-network"
"""The folder of network configuration in an archive."""

_LONGEST_LABEL = 32
_UNUSUAL = re.compile(r"[^A-Za-z0-9._-]")


def plain(version: str) -> str:
    """``version`` in letters, digits, dots and dashes."""
    return _UNUSUAL.sub("-", version)


def label(version: str) -> str:
    """The volume id of the ISO of this version: GRUB and the live system find their medium by it."""
    return f"nestos-{plain(version)}"[:_LONGEST_LABEL]


def with_conf(initramfs: bytes, conf: Conf) -> bytes:
    """An initramfs with ``conf`` behind it."""
    aligned = initramfs + bytes(-len(initramfs) % 4)
    return aligned + cpio.compress(cpio.pack({live.CONF: live.render_conf(conf)}, mode=0o644))
