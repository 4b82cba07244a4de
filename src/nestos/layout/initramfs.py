"""The initramfs, made by the tree's own dracut with the tree's own programs.

It is generic (no host's hardware is asked), repeatable (``--reproducible`` and a fixed time stamp), and its bytes
depend only on the kernel, the packages and this project's modules; so it is kept under a digest of those and reused
by trees that differ elsewhere.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

from nestos.base import durable
from nestos.base.errors import CommandError
from nestos.host.process import Runner
from nestos.layout import bytecode

_MODULES = ("systemd", "systemd-veritysetup", "systemd-networkd", "nestos", "nestos-install", "nestos-live", "ignition")
# Files that the modules bring last: they are there if the modules are.
_PROOFS = (
    "usr/bin/ignition",
    "usr/libexec/nestos-var",
    "usr/lib/systemd/system/ignition-files.service",
    "usr/lib/systemd/system/nestos-sysroot.service",
    "usr/lib/systemd/system/nestos-installed.service",
    "usr/lib/systemd/system/nestos-live.service",
    "usr/libexec/nestos-live-fetch",
    "usr/lib/systemd/systemd-veritysetup",
)
# Auto-selected by a generic image but of no use to a node: other people's storage, prompts, hardware names.
_OMITTED = (
    "btrfs",
    "crypt",
    "crypt-gpg",
    "crypt-loop",
    "dbus-broker",
    "dmraid",
    "fido2",
    "hwdb",
    "i18n",
    "iscsi",
    "kernel-modules-extra",
    "lunmask",
    "lvm",
    "mdraid",
    "multipath",
    "nfs",
    "numlock",
    "nvdimm",
    "overlay-root",
    "pkcs11",
    "plymouth",
    "resume",
    "systemd-battery-check",
    "systemd-cryptsetup",
    "systemd-pcrphase",
    "terminfo",
    "usrmount",
    "virtfs",
    "virtiofs",
)
_NOISE = re.compile(r"dracut\[I\]|Creating (user|group) ")
_SAID_KEPT = 4000  # characters of dracut's output that an error carries
# What is put into the image besides packages' files: where a difference must make another image.
_INPUTS = (
    "usr/lib/dracut",
    "usr/lib/ignition",
    "usr/lib/systemd/system.conf.d",
    "usr/lib/modprobe.d",
    "etc/dracut.conf.d",
    "usr/etc/dracut.conf.d",
)


def digest(tree: Path, *, packages_digest: str, arguments: tuple[str, ...] = ()) -> str:
    """Names the image that ``build`` would make for ``tree``."""
    total = hashlib.sha256(f"{packages_digest}\0{_MODULES}\0{_OMITTED}\0{arguments}".encode())
    for folder in (*_INPUTS, f"{bytecode.packages_folder(tree)}/nestos"):
        for path in sorted((tree / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(f"{path.relative_to(tree)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def build(
    tree: Path, *, kernel: str, arguments: tuple[str, ...], timestamp: int, cache: Path, key: str, inside: Runner
) -> Path:
    """Puts ``initramfs.img`` beside the kernel and returns its path. ``inside`` runs in the tree as root."""
    target = tree / place(kernel)
    kept = cache / f"{key}.img"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        try:
            generate(kernel=kernel, arguments=arguments, timestamp=timestamp, inside=inside)
        except CommandError:
            target.unlink(missing_ok=True)
            raise
        with durable.replacing(kept) as output, target.open("rb") as made:
            shutil.copyfileobj(made, output)
    shutil.copyfile(kept, target)
    target.chmod(0o600)
    return target


def place(kernel: str) -> str:
    """Where the image of the kernel version ``kernel`` is in a tree."""
    return f"usr/lib/modules/{kernel}/initramfs.img"


def generate(*, kernel: str, arguments: tuple[str, ...], timestamp: int, inside: Runner) -> None:
    """Runs dracut in the tree. Raises ``CommandError`` for an image that lacks what our modules bring."""
    command = [
        "dracut",
        "--force",
        "--no-hostonly",
        "--reproducible",
        "--zstd",
        "--filesystems=erofs ext4 vfat overlay squashfs iso9660",
        f"--add={' '.join(_MODULES)}",
        f"--omit={' '.join(_OMITTED)}",
        "--tmpdir=/tmp",
        *arguments,
        f"--kver={kernel}",
        f"/{place(kernel)}",
    ]
    done = inside(command, environment={"SOURCE_DATE_EPOCH": str(timestamp), "PYTHONHASHSEED": "0"})
    said = "\n".join(line for line in done.stderr.splitlines() if not _NOISE.match(line))[-_SAID_KEPT:]
    listing = inside(["lsinitrd", f"/{place(kernel)}"], accepted=(0, 1))
    if listing.returncode != 0:
        raise CommandError(f"dracut made no image:\n{said}", returncode=0, output=said)
    # dracut goes on where a module fails, and calls what it has made a success.
    listed = set(listing.stdout.split())
    if missing := [path for path in _PROOFS if path not in listed]:
        lacking = ", ".join(missing)
        raise CommandError(f"dracut left {lacking} out of the initramfs; it said:\n{said}", returncode=0, output=said)
