"""The tools trees: small pinned Debian roots whose programs shape everything that is built.

The host lends only mmdebstrap, bubblewrap and its package sources. A tree is named by a digest of what it is made
from, kept in the cache, and made again only when that changes. What only RPM composes need, or those for another
architecture, is a tree of its own, so that the others do not pay for it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from nestos.base import lock
from nestos.base.errors import CommandError, InputError, StateError
from nestos.base.log import Progress
from nestos.host import process, space
from nestos.host.packages import apt_failures, sources
from nestos.host.packages.backend import PackageSource
from nestos.host.toolbox import Toolbox

RELEASE = "trixie"


class Kind(StrEnum):
    """Which tools tree."""

    BASE = "base"
    """Images, commits, Debian packages, virtual machines."""
    RPM = "rpm"
    """dnf, rpm, and what makes an index of RPM packages."""
    AARCH64 = "aarch64"
    """For a host of another architecture: what runs programs and machines of aarch64, and GRUB's modules for them."""


_RPM_PACKAGES = ("bubblewrap", "ca-certificates", "createrepo-c", "dnf", "gnupg", "python3-librepo", "rpm")
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
    "swtpm",
    "tang-common",
    "xorriso",
    "xz-utils",
    "zstd",
)
# Both hold much for others than us: emulators of every architecture, firmware of every kind.
_AARCH64_PACKAGES = ("qemu-efi-aarch64", "qemu-system-arm", "qemu-user", "qemu-utils")
_AARCH64_LEFT_OUT = ("/usr/bin/qemu-*", "/usr/share/AAVMF/*", "/usr/share/qemu-efi-aarch64/*")
_AARCH64_KEPT = (
    "/usr/bin/qemu-aarch64",
    "/usr/bin/qemu-img",
    "/usr/bin/qemu-system-aarch64",
    "/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd",
    "/usr/share/AAVMF/AAVMF_VARS.fd",
)
# Packages of the other architecture, unpacked only: GRUB's modules are data to grub-mkimage, which is this machine's
# own, and busybox goes into container images.
_AARCH64_HOOK = """\
set -eu
cd "$1/tmp"
APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get download --quiet grub-efi-arm64-bin:arm64 busybox-static:arm64
dpkg-deb --extract grub-efi-arm64-bin_*.deb "$1"
dpkg-deb --extract busybox-static_*.deb "$1/usr/aarch64-linux-gnu"
rm grub-efi-arm64-bin_*.deb busybox-static_*.deb
"""
EMULATOR = "usr/bin/qemu-aarch64"
"""Where the tree ``AARCH64`` has the emulator of programs."""
BUSYBOX = "usr/bin/busybox"
"""Where the tree ``BASE`` has a busybox without libraries."""
FOREIGN_BUSYBOX = "usr/aarch64-linux-gnu/usr/bin/busybox"
"""Where the tree ``AARCH64`` has one of that architecture."""

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
_SHAPING = ("cpio", "cryptsetup-bin", "erofs-utils", "mmdebstrap", "ostree", "zstd")
_ROOM_BYTES = 800 << 20  # the tree has 390 MiB; its package files are beside it while it is made
_DPKG_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def packages(machine: str, *, kind: Kind = Kind.BASE) -> tuple[str, ...]:
    """Names of the tree's packages on a host of the given machine type (``uname -m``)."""
    if kind is Kind.RPM:
        return _RPM_PACKAGES
    if kind is Kind.AARCH64:
        return _AARCH64_PACKAGES
    return (*_PACKAGES, *_PACKAGES_BY_MACHINE.get(machine, ()))


def digest(machine: str, origins: Sequence[PackageSource], *, kind: Kind = Kind.BASE) -> str:
    """What the tree is named by: its packages and sources. 16 hex digits."""
    names = packages(machine, kind=kind)
    text = "\n".join([RELEASE, machine, *names, *_extras(kind), *(f"{s.suite} {s.components}" for s in origins)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def ensure(cache: Path, *, progress: Progress, kind: Kind = Kind.BASE) -> Toolbox:
    """A tools tree, composed if the cache has none. An interrupted attempt leaves nothing that would be used.

    Raises ``BusyError`` while another program composes it, ``NetworkError`` and ``SpaceError`` naming the cause.
    """
    machine = platform.machine()
    if machine not in _DPKG_ARCHITECTURES:
        raise InputError(f"a host of the type {machine} cannot compose; these can: {', '.join(_DPKG_ARCHITECTURES)}")
    origins = sources.debian(RELEASE)
    home = cache / "tools" / digest(machine, origins, kind=kind)
    root = home / "root"
    if not root.exists():
        home.mkdir(parents=True, exist_ok=True)
        with lock.held(home / "lock", what="the tools tree"), space.watched(cache):
            if not root.exists():
                space.require(cache, need_bytes=_ROOM_BYTES, what="the tools tree")
                names = packages(machine, kind=kind)
                with progress.stage(f"tools tree ({kind}): {len(names)} packages and what they need"):
                    _compose(home / "root.part", origins, machine=machine, names=names, kind=kind)
                    (home / "root.part").rename(root)
    return Toolbox(root)


def shaping(root: Path) -> dict[str, str]:
    """The versions of the packages in the tools tree at ``root`` whose programs shape a commit or a slot image."""
    found = {}
    for stanza in (root / "var/lib/dpkg/status").read_text().split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version): (.*)$", stanza, flags=re.MULTILINE))
        if fields.get("Package") in _SHAPING:
            found[fields["Package"]] = fields["Version"]
    return found


def _compose(target: Path, origins: Sequence[PackageSource], *, machine: str, names: Sequence[str], kind: Kind) -> None:
    if os.geteuid() != 0:
        raise StateError("a package tree is made by root only", hint="run it again as root, or with sudo")
    if target.exists():
        shutil.rmtree(target)
    try:
        # It starts a small Python program for each package; a Python put before the system's on PATH may start slowly.
        command = _command(target, origins, machine=machine, names=names, kind=kind)
        process.run(command, environment={"PATH": process.SYSTEM_PATH})
    except BaseException as error:
        shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, CommandError):
            raise apt_failures.unfetched(error) from error
        raise


def _extras(kind: Kind) -> list[str]:
    """Options of mmdebstrap that only the tree ``kind`` has."""
    if kind is not Kind.AARCH64:
        return []
    filters = [f"--dpkgopt=path-exclude={pattern}" for pattern in _AARCH64_LEFT_OUT]
    filters += [f"--dpkgopt=path-include={pattern}" for pattern in _AARCH64_KEPT]
    return [*filters, f"--customize-hook={_AARCH64_HOOK}"]


def _command(
    target: Path, origins: Sequence[PackageSource], *, machine: str, names: Sequence[str], kind: Kind
) -> list[str]:
    lines = [f"deb {s.uri} {s.suite} {' '.join(s.components)}" for s in origins]
    return [
        # What it mounts in the tree is gone with it, however it ends: seen from here, the unfinished tree holds plain
        # folders, and removing it can never reach the host's own /dev.
        "unshare",
        "--mount",
        "--propagation=private",
        "mmdebstrap",
        "--mode=root",
        "--variant=apt",
        f"--architectures={','.join([_DPKG_ARCHITECTURES[machine], *(['arm64'] if kind is Kind.AARCH64 else [])])}",
        '--aptopt=Apt::Install-Recommends "false"',
        '--aptopt=Acquire::Languages "none"',
        '--aptopt=Acquire::Retries "3"',
        "--dpkgopt=force-unsafe-io",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        *_extras(kind),
        f"--include={','.join(names)}",
        RELEASE,
        os.fspath(target),
        *lines,
    ]
