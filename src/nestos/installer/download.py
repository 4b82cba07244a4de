"""Fetching an image to a folder instead of a disk, with the same proofs, and telling what a stream offers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from nestos.base import durable
from nestos.base.errors import InputError, VerificationError
from nestos.installer import sources
from nestos.installer.fetch import Fetcher
from nestos.installer.found import Found
from nestos.installer.install import Surroundings
from nestos.installer.progress import Meter
from nestos.installer.sources import Image
from nestos.wire.stream import Artifact, Stream


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to fetch: ``image_url``, or from ``stream`` the image of ``platform`` in ``form``."""

    architecture: str
    directory: Path
    image_url: str = ""
    stream: str = ""
    stream_base_url: str = ""
    platform: str = "metal"
    form: str = "raw.xz"
    decompresses: bool = False
    is_insecure: bool = False
    keyrings: tuple[Path, ...] = ()


def download(request: Request, *, fetcher: Fetcher, around: Surroundings) -> Path:
    """Fetches, and returns the file, with its signature beside it. Until it is proven, the file is not there."""
    artifact = _artifact(request, fetcher=fetcher)
    url = artifact.location
    name = PurePosixPath(urlsplit(url).path).name
    if not name:
        raise InputError(f"{url} names no file")
    found = sources.from_url(url, is_insecure=request.is_insecure, fetcher=fetcher, signature_url=artifact.signature)
    target = request.directory / (name.rpartition(".")[0] if _unpacks(request, name) else name)
    keys = sources.require_keys(found, request.keyrings, folder=around.keys)
    request.directory.mkdir(parents=True, exist_ok=True)
    _fetch(found, target, artifact=artifact, keys=keys, unpacks=target.name != name, around=around)
    if found.signature and target.name == name:
        durable.write(target.with_name(f"{name}.sig"), found.signature)
    return target


def _unpacks(request: Request, name: str) -> bool:
    return request.decompresses and name.endswith((".xz", ".gz", ".zst")) and not name.endswith(".tar.gz")


def _artifact(request: Request, *, fetcher: Fetcher) -> Artifact:
    if request.image_url:
        return Artifact(location=request.image_url, sha256="")
    if not request.stream:
        raise InputError("nothing to download is named", hint="give --stream or --image-url")
    document = sources.read_stream(request.stream_base_url, request.stream, fetcher=fetcher)
    return sources.choose(
        document, architecture=request.architecture, platform=request.platform, formats=(request.form,)
    )


def _fetch(
    found: Found, target: Path, *, artifact: Artifact, keys: tuple[Path, ...], unpacks: bool, around: Surroundings
) -> None:
    total = hashlib.sha256()
    with durable.replacing(target) as file, Image(found, keys=keys, is_plain=not unpacks) as image:
        meter = Meter(target.name, total_bytes=0, stream=around.stream)
        for piece in image.content:
            file.write(piece)
            total.update(piece)
            meter.total_bytes = image.size_bytes
            meter(image.read_bytes)
        meter.end()
        proof = image.verdict()
        wanted = artifact.uncompressed_sha256 if unpacks else artifact.sha256
        if wanted and total.hexdigest() != wanted:
            raise VerificationError(f"{artifact.location} has another sha256 than its stream says")
    around.say(f"{target}: {proof}")


def listed(document: Stream, *, platform: str = "") -> list[tuple[str, str, str]]:
    """Architecture, platform and format of everything that a stream offers."""
    return [
        (architecture, name, form)
        for architecture, offered in sorted(document.architectures.items())
        for name, one in sorted(offered.artifacts.items())
        for form in sorted(one.formats)
        if platform in ("", name)
    ]
