"""A small container image made of one Debian package, for tests and the tour: no registry is needed.

The result is an OCI image layout in a tar archive (OCI image specification 1.1, "image layout"), with a
``manifest.json`` beside it (the format of ``docker save``), so that podman, docker and skopeo all load it.
The same program gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

_APPLETS = ("sh", "echo", "sleep", "cat", "ls", "uname", "wget", "nc", "true", "false", "date", "httpd", "id")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
NAME = "localhost/busybox:latest"


def archive(program: Path, *, architecture: str = "x86_64", name: str = NAME) -> bytes:
    """The image with ``program`` as ``/bin/busybox`` and links for its common applets."""
    layer = _layer(program.read_bytes())
    config = _json(
        {
            "architecture": _ARCHITECTURES[architecture],
            "os": "linux",
            "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "busybox-static"}],
            "created": "1970-01-01T00:00:00Z",
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
        }
    )
    entry = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
    entry["annotations"] = {"org.opencontainers.image.ref.name": name, "io.containerd.image.name": name}
    saved = [{"Config": _blob(config), "RepoTags": [name], "Layers": [_blob(layer)]}]
    files = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json({"schemaVersion": 2, "manifests": [entry]}),
        "manifest.json": _json(saved),
        **{_blob(data): data for data in (layer, config, manifest)},
    }
    return _tar(files)


def _layer(program: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for folder in ("bin", "etc", "tmp", "var"):
            tar.addfile(_member(folder, kind=tarfile.DIRTYPE, mode=0o1777 if folder == "tmp" else 0o755))
        tar.addfile(_member("bin/busybox", mode=0o755, size=len(program)), io.BytesIO(program))
        for applet in _APPLETS:
            link = _member(f"bin/{applet}", kind=tarfile.SYMTYPE, mode=0o777)
            link.linkname = "busybox"
            tar.addfile(link)
        for file, text in (("etc/passwd", "root:x:0:0:root:/:/bin/sh\n"), ("etc/group", "root:x:0:\n")):
            tar.addfile(_member(file, size=len(text)), io.BytesIO(text.encode()))
    return buffer.getvalue()


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            tar.addfile(_member(name, size=len(files[name])), io.BytesIO(files[name]))
    return buffer.getvalue()


def _member(name: str, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, size: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.size = kind, mode, size
    return member


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _blob(data: bytes) -> str:
    return f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"


def _descriptor(kind: str, data: bytes) -> dict[str, object]:
    return {"mediaType": kind, "digest": _digest(data), "size": len(data)}
