"""The release as a container image: an OCI image layout in a tar archive (OCI image specification 1.1, "image layout").

One layer: the commit as ``ostree export`` writes it, with ``/usr/etc`` as ``/etc``, where containers look for it. The
same commit gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nestos.base import durable

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_DEFAULTS = "usr/etc"


@dataclass(frozen=True, kw_only=True)
class About:
    """What the image says of itself."""

    name: str
    version: str
    commit: str
    architecture: str
    epoch_seconds: int


def layer(exported: Path, *, output: Path) -> None:
    """Writes the layer's tar from the tar of a commit: names without ``./``, ``/etc`` where it belongs."""
    with (
        durable.replacing(output) as file,
        tarfile.open(exported) as source,
        tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as target,
    ):
        for member in source:
            member.name = _placed(member.name)
            if member.islnk():
                member.linkname = _placed(member.linkname)
            if not member.name or (member.name == "etc" and member.issym()):
                continue
            target.addfile(member, source.extractfile(member) if member.isreg() else None)


def archive(compressed_layer: Path, *, diff_id: str, output: Path, about: About) -> None:
    """Writes the archive around a gzipped layer whose uncompressed sha256 is ``diff_id``."""
    with compressed_layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    created = datetime.fromtimestamp(about.epoch_seconds, UTC).isoformat().replace("+00:00", "Z")
    labels = {
        "org.opencontainers.image.version": about.version,
        "ostree.commit": about.commit,
        "ostree.bootable": "true",
        "containers.bootc": "1",
    }
    config = _json(
        {
            "architecture": _ARCHITECTURES.get(about.architecture, about.architecture),
            "os": "linux",
            "created": created,
            "config": {"Cmd": ["/bin/bash"], "Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]},
            "history": [{"created": created, "created_by": "nestos compose"}],
        }
    )
    size = compressed_layer.stat().st_size
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, config),
            "layers": [{"mediaType": _LAYER, "digest": f"sha256:{digest}", "size": size}],
        }
    )
    entry = _descriptor(_MANIFEST, manifest) | {"annotations": {"org.opencontainers.image.ref.name": about.name}}
    texts = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json({"schemaVersion": 2, "manifests": [entry]}),
        **{f"blobs/sha256/{hashlib.sha256(data).hexdigest()}": data for data in (config, manifest)},
    }
    with durable.replacing(output) as out, tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in sorted(texts.items()):
            tar.addfile(_member(name, size=len(data)), io.BytesIO(data))
        with compressed_layer.open("rb") as layer:
            tar.addfile(_member(f"blobs/sha256/{digest}", size=size), layer)


def _placed(name: str) -> str:
    bare = name.removeprefix("./").strip("/")
    inside = bare == _DEFAULTS or bare.startswith(f"{_DEFAULTS}/")
    return bare.removeprefix("usr/") if inside else bare if bare != "." else ""


def _member(name: str, *, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _descriptor(kind: str, data: bytes) -> dict[str, object]:
    return {"mediaType": kind, "digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}
