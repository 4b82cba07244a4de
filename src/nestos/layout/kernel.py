"""The kernel's place: everything of it under ``/usr/lib/modules/<version>``, and ``/boot`` empty.

libostree looks for ``vmlinuz`` and ``initramfs.img`` there (ostree, "Adapting existing systems").
"""

from __future__ import annotations

import shutil
from pathlib import Path

from nestos.base.errors import InputError


def version(tree: Path) -> str:
    """The one kernel's version. Raises ``InputError`` if the tree has none or several."""
    folder = tree / "usr/lib/modules"
    found = sorted(path.name for path in folder.glob("*")) if folder.exists() else []
    if len(found) != 1:
        raise InputError(f"a tree has exactly one kernel; this one has: {', '.join(found) or 'none'}")
    return found[0]


def settle(tree: Path) -> str:
    """Moves the kernel out of ``/boot``, removes what is left there, and returns the kernel's version."""
    kernel = version(tree)
    home = tree / "usr/lib/modules" / kernel
    boot = tree / "boot"
    for name, source in (("vmlinuz", "vmlinuz"), ("config", "config")):
        file = boot / f"{source}-{kernel}"
        if file.exists():
            shutil.move(file, home / name)
    if not (home / "vmlinuz").exists():
        raise InputError(f"no kernel image for {kernel} in /boot or {home.relative_to(tree)}")
    (home / "vmlinuz").chmod(0o644)
    for left in boot.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()
    for pattern in ("vmlinuz*", "initrd.img*"):
        for link in tree.glob(pattern):
            link.unlink()
    return kernel
