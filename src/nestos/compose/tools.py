"""The tools tree: a small pinned Debian root whose programs shape everything that is built.

The host lends only mmdebstrap, bubblewrap and its package sources. The tree is named by a digest of what it is made
from, kept in the cache, and made again only when that changes.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from nestos.base.log import Progress
from nestos.host import process
from nestos.host.packages import sources
from nestos.host.packages.backend import PackageSource
from nestos.host.toolbox import Toolbox

RELEASE = "trixie"

_PACKAGES: tuple[str, ...] = (
    "binutils",
    "bubblewrap",
    "busybox-static",
    "ca-certificates",
    "cpio",
    "cryptsetup-bin",
    "debian-archive-keyring",
    "dosfstools",
    "e2fsprogs",
    "erofs-utils",
    "fdisk",
    "gnupg",
    "gpg-agent",
    "grub-common",
    "mmdebstrap",
    "mtools",
    "openssh-client",
    "ostree",
    "qemu-utils",
    "xz-utils",
    "zstd",
)
_PACKAGES_BY_MACHINE: dict[str, tuple[str, ...]] = {
    "x86_64": (
        "grub-efi-amd64-bin",
        "grub-pc-bin",
        "ipxe-qemu",
        "ovmf",
        "qemu-system-data",
        "qemu-system-x86",
        "seabios",
    ),
    "aarch64": ("grub-efi-arm64-bin", "ipxe-qemu", "qemu-efi-aarch64", "qemu-system-arm", "qemu-system-data"),
}
_DPKG_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def packages(machine: str) -> tuple[str, ...]:
    """Names of the tree's packages on a host of the given machine type (``uname -m``)."""
    return (*_PACKAGES, *_PACKAGES_BY_MACHINE.get(machine, ()))


def digest(machine: str, origins: Sequence[PackageSource]) -> str:
    """What the tree is named by: its packages and sources. 16 hex digits."""
    text = "\n".join([RELEASE, machine, *packages(machine), *(f"{s.suite} {s.components}" for s in origins)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def ensure(cache: Path, *, progress: Progress) -> Toolbox:
    """The tools tree, composed if the cache has none. An interrupted attempt leaves nothing behind."""
    machine = platform.machine()
    origins = sources.debian(RELEASE)
    home = cache / "tools" / digest(machine, origins)
    root = home / "root"
    if not root.exists():
        home.mkdir(parents=True, exist_ok=True)
        with progress.stage(f"tools tree: {len(packages(machine))} packages and what they need"):
            _compose(home / "root.part", origins, machine=machine)
            (home / "root.part").rename(root)
    return Toolbox(root)


def _compose(target: Path, origins: Sequence[PackageSource], *, machine: str) -> None:
    if target.exists():
        shutil.rmtree(target)
    names = ",".join(packages(machine))
    lines = [f"deb {s.uri} {s.suite} {' '.join(s.components)}" for s in origins]
    process.run(
        [
            "mmdebstrap",
            "--mode=root",
            "--variant=apt",
            f"--architectures={_DPKG_ARCHITECTURES[machine]}",
            '--aptopt=Apt::Install-Recommends "false"',
            '--aptopt=Acquire::Languages "none"',
            '--aptopt=Acquire::Retries "3"',
            "--dpkgopt=force-unsafe-io",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            f"--include={names}",
            RELEASE,
            os.fspath(target),
            *lines,
        ]
    )
