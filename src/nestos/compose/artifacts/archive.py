"""Archives around a disk: Google's ``tar.gz`` and the Open Virtualization Archive. Same inputs, same bytes."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from nestos.base import durable
from nestos.compose.artifacts import ovf


def gcp_tar(raw: Path, *, output: Path) -> None:
    """A tar archive with ``disk.raw`` in it, in GNU's form, as Compute Engine imports it; not compressed yet."""
    with _archive(output, form=tarfile.GNU_FORMAT) as tar:
        _add(tar, name="disk.raw", path=raw)


def ova(vmdk: Path, *, output: Path, machine: ovf.Machine) -> None:
    """An OVA: descriptor, manifest of checksums, disk, in that order (DSP0243 2.1.1, 5.3: the descriptor is first)."""
    disk = f"{machine.name}.vmdk"
    descriptor = ovf.render(machine, disk=disk, file_bytes=vmdk.stat().st_size).encode()
    texts = {f"{machine.name}.ovf": descriptor}
    digests = {f"{machine.name}.ovf": hashlib.sha256(descriptor).hexdigest(), disk: _digest(vmdk)}
    manifest = "".join(f"SHA256({name})= {digest}\n" for name, digest in digests.items())
    texts[f"{machine.name}.mf"] = manifest.encode()
    with _archive(output, form=tarfile.USTAR_FORMAT) as tar:
        _add_texts(tar, texts)
        _add(tar, name=disk, path=vmdk)


@contextmanager
def _archive(output: Path, *, form: int) -> Iterator[tarfile.TarFile]:
    with durable.replacing(output) as file, tarfile.open(fileobj=file, mode="w", format=form) as tar:
        yield tar


def _add(tar: tarfile.TarFile, *, name: str, path: Path) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = path.stat().st_size, 0o644
    with path.open("rb") as file:
        tar.addfile(member, file)


def _add_texts(tar: tarfile.TarFile, texts: Mapping[str, bytes]) -> None:
    for name, data in texts.items():
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(data), 0o644
        tar.addfile(member, io.BytesIO(data))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
