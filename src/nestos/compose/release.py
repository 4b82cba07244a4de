"""From a tree to a signed commit: the slot image first, because the commit vouches for its root hash."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from nestos.base import durable
from nestos.base.errors import InputError
from nestos.base.log import Progress
from nestos.compose.keys import SigningKey
from nestos.compose.tree import Tree
from nestos.host.process import Runner
from nestos.ostree.repository import Repository
from nestos.slots import image
from nestos.wire.manifest.model import Manifest


@dataclass(frozen=True, kw_only=True)
class Release:
    """A committed release and where its pieces are. Stored as ``release.json`` beside them."""

    version: str
    ref: str
    architecture: str
    commit: str
    kernel: str
    root_hash: str
    hash_offset: int
    image_size: int
    kernel_digest: str
    timestamp: int
    manifest_digest: str
    image: str
    vmlinuz: str
    initramfs: str
    kargs: list[str]
    slot_size: int
    packages: dict[str, str]

    def save(self, folder: Path) -> None:
        """Writes ``release.json``, last of all: its presence says that the release is whole."""
        durable.write_text(folder / "release.json", json.dumps(asdict(self), indent=1, sort_keys=True) + "\n")


def load(folder: Path) -> Release | None:
    """The release in ``folder``, or none where it was not finished, lost a piece, or is of another program version."""
    file = folder / "release.json"
    try:
        release = Release(**json.loads(file.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    pieces = (release.image, release.vmlinuz, release.initramfs)
    return release if all(Path(piece).is_file() for piece in pieces) else None


def erofs_options(manifest: Manifest, *, kernel: str) -> tuple[str, ...]:
    """mkfs.erofs's options for the manifest's compression; recorded in the commit, for nodes to use the same.

    Kernel and initramfs stay out of the slot: the boot partition has them, 37 MB that compress no further.
    """
    compression = manifest.compression
    own = [option for option in image.DEFAULT_EROFS_OPTIONS if not option.startswith(("-z", "-C"))]
    modules = f"usr/lib/modules/{kernel}"
    own += [f"--exclude-path={modules}/vmlinuz", f"--exclude-path={modules}/initramfs.img"]
    if not compression.erofs:
        return tuple(own)
    level = "" if compression.level is None else f",level={compression.level}"
    return (f"-z{compression.algorithm}{level}", f"-C{compression.cluster_size_bytes}", *own)


def publish(
    tree: Tree,
    manifest: Manifest,
    *,
    version: str,
    digest: str,
    timestamp: int,
    folder: Path,
    repository: Path,
    key: SigningKey,
    runner: Runner,
    progress: Progress,
) -> Release:
    """Builds the slot image into ``folder`` and commits ``tree`` to ``repository``, signed, with a signed summary."""
    folder.mkdir(parents=True, exist_ok=True)
    options = erofs_options(manifest, kernel=tree.kernel)
    identity = image.identity(digest)
    with progress.stage("slot image"):
        built = image.build(
            tree.path, folder / "slot.img", uuid=identity.uuid, salt=identity.salt, options=options, runner=runner
        )
        progress.say(f"{built.size / 1e6:.0f} MB, root hash {built.root_hash[:16]}…")
    slot_size = manifest.slot_size_bytes
    if built.size > slot_size:
        raise InputError(
            f"the slot image has {built.size >> 20} MiB, a slot of these nodes only {slot_size >> 20} MiB",
            hint="leave out packages, or raise slot-size under nestos: in the manifest, for new nodes",
        )
    modules = tree.path / "usr/lib/modules" / tree.kernel
    kernel_digest = digest_of_boot_files(modules)
    metadata = _metadata(
        tree, manifest, built, identity, version=version, digest=digest, kernel_digest=kernel_digest, options=options
    )
    for name in ("vmlinuz", "initramfs.img"):
        shutil.copyfile(modules / name, folder / name)
    with progress.stage(f"commit to {manifest.ref}"):
        store = Repository(repository, runner=runner)
        if not store.exists:
            store.init(mode="archive")
            store.configure("archive.zlib-level", "4")
        commit = store.commit(
            tree.path,
            branch=manifest.ref,
            subject=f"NestOS {version}",
            timestamp=datetime.fromtimestamp(timestamp, UTC),
            metadata=metadata,
            gpg_key=key.fingerprint,
            gpg_home=key.home,
            generate_sizes=True,
        )
        store.update_summary(gpg_key=key.fingerprint, gpg_home=key.home)
    release = Release(
        version=version,
        ref=manifest.ref,
        architecture=manifest.arch,
        commit=commit,
        kernel=tree.kernel,
        root_hash=built.root_hash,
        hash_offset=built.hash_offset,
        image_size=built.size,
        kernel_digest=kernel_digest,
        timestamp=timestamp,
        manifest_digest=digest,
        image=str(folder / "slot.img"),
        vmlinuz=str(folder / "vmlinuz"),
        initramfs=str(folder / "initramfs.img"),
        kargs=list(manifest.kargs),
        slot_size=slot_size,
        packages=tree.packages,
    )
    release.save(folder)
    return release


def _metadata(
    tree: Tree,
    manifest: Manifest,
    built: image.SlotImage,
    identity: image.Identity,
    *,
    version: str,
    digest: str,
    kernel_digest: str,
    options: tuple[str, ...],
) -> Mapping[str, str]:
    """What the signed commit says of itself: all that a node needs to build and judge its slot."""
    return {
        **{name: str(value) for name, value in manifest.commit_metadata.items()},
        "version": version,
        "nestos.verity-root-hash": built.root_hash,
        "nestos.verity-hash-offset": str(built.hash_offset),
        "nestos.verity-salt": identity.salt,
        "nestos.uuid": identity.uuid,
        "nestos.image-size": str(built.size),
        "nestos.kernel-digest": kernel_digest,
        "nestos.erofs-options": json.dumps(list(options)),
        "nestos.manifest-digest": digest,
        "nestos.kargs": json.dumps(list(manifest.kargs)),
        "nestos.packages": json.dumps(tree.packages, sort_keys=True),
        "ostree.linux": tree.kernel,
    }


def digest_of_boot_files(modules: Path) -> str:
    """sha256, in hexadecimal, of the kernel followed by the initramfs: what a commit says of its boot files."""
    total = hashlib.sha256()
    for name in ("vmlinuz", "initramfs.img"):
        total.update((modules / name).read_bytes())
    return total.hexdigest()
