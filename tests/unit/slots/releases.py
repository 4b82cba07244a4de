"""Small releases with true hash trees, for tests that write slots."""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nestos.host.bootloader import grub
from nestos.slots import install, verity
from nestos.slots.disk import Payload
from nestos.wire.deployment import Deployment, render
from nestos.wire.origin import Origin

OLD_ETC, PREVIOUS_ETC, EDITED_ETC = b"the running node's own files.", b"files of before.", b"edited after staging."
DATA_BLOCKS = 5


@dataclass(frozen=True, kw_only=True)
class Version:
    """A release, and everything by which it is recognised on a disk. ``etc``: the layers that may go with it.

    ``pinned``: its record once it is pinned, as good as the one in ``files``.
    """

    name: str
    image: bytes
    files: Mapping[str, bytes]
    pinned: bytes
    etc: frozenset[bytes]
    payload: Payload


@dataclass(frozen=True, kw_only=True)
class Releases:
    """``old`` runs; ``previous`` may lie in the passive slot; ``new`` is what an update brings."""

    previous: Version
    old: Version
    new: Version

    def __iter__(self) -> Iterator[Version]:
        return iter((self.previous, self.old, self.new))


def releases(folder: Path) -> Releases:
    """Three releases, their payloads in ``folder``."""
    current = {OLD_ETC, EDITED_ETC}
    return Releases(
        previous=version("previous", folder, etc={PREVIOUS_ETC}),
        old=version("old", folder, etc=current),
        new=version("new", folder, etc=current),
    )


def slot_bytes(blocks: list[bytes], *, salt: bytes) -> tuple[str, bytes]:
    """The root hash and the slot image of ``blocks``, as veritysetup would write it."""
    root, tree = verity.hash_tree(iter(blocks), salt=salt)
    head = (b"verity\0\0", 1, 1, bytes(16), b"sha256", 4096, 4096, len(blocks), len(salt), salt)
    superblock = struct.pack("<8sII16s32sIIQH6x256s", *head).ljust(verity.BLOCK_BYTES, b"\0")
    return root.hex(), b"".join(blocks) + superblock + tree


def version(name: str, folder: Path, *, etc: set[bytes]) -> Version:
    """A release of five blocks of data, made from its name alone."""
    source = random.Random(name)
    blocks = [source.randbytes(verity.BLOCK_BYTES) for _ in range(DATA_BLOCKS)]
    root_hash, image = slot_bytes(blocks, salt=name.encode())
    kernel, initramfs = source.randbytes(700), source.randbytes(900)
    deployment = Deployment(
        version=name,
        commit=hashlib.sha256(name.encode()).hexdigest(),
        root_hash=root_hash,
        hash_offset=DATA_BLOCKS * verity.BLOCK_BYTES,
        image_size=len(image),
        kernel_digest=hashlib.sha256(kernel + initramfs).hexdigest(),
        ref="nestos/x86_64/test",
        kargs=("quiet", "console=ttyS0"),
        timestamp="2026-01-01T00:00:00Z",
    )
    config = grub.slot_configuration(
        root_hash=root_hash, hash_offset=deployment.hash_offset, version=name, kargs=deployment.kargs
    )
    paths = {}
    for file, content in {"image": image, install.KERNEL: kernel, install.INITRAMFS: initramfs}.items():
        paths[file] = folder / f"{name}.{file}"
        paths[file].write_bytes(content)
    return Version(
        name=name,
        image=image,
        files={
            install.KERNEL: kernel,
            install.INITRAMFS: initramfs,
            install.CONFIG: config.encode(),
            install.RECORD: render(deployment).encode(),
        },
        pinned=render(replace(deployment, origin=Origin(pinned=True))).encode(),
        etc=frozenset(etc),
        payload=Payload(
            deployment=deployment,
            image=paths["image"],
            kernel=paths[install.KERNEL],
            initramfs=paths[install.INITRAMFS],
        ),
    )
