"""Where the image comes from: a file, an address or a stream. Each gives bytes and their proof."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from nestos.base.errors import InputError, NetworkError, VerificationError
from nestos.installer import decompression, live_system, signature
from nestos.installer.fetch import PIECE_BYTES, Fetcher
from nestos.installer.found import Found
from nestos.installer.options import Settings
from nestos.installer.signature import Verifier
from nestos.wire import stream
from nestos.wire.stream import Artifact


class Image(AbstractContextManager["Image"]):
    """An image being read: ``content`` decompressed (as it is: ``is_plain``), ``verdict`` at its end.

    ``size_bytes`` and ``read_bytes`` count what comes in, so compressed (size 0: unknown).
    """

    def __init__(self, found: Found, *, keys: tuple[Path, ...] = (), is_plain: bool = False) -> None:
        self.name = found.name
        self._voucher = found.voucher or "signed by nobody"
        self.size_bytes = 0
        self.read_bytes = 0
        self._stack = ExitStack()
        self._verifier = None
        if found.signature:
            self._verifier = self._stack.enter_context(Verifier(found.signature, keys=keys, what=found.name))
        self._raw = found.open(self._sized)
        self.content = self._seen() if is_plain else decompression.decompressed(self._seen())

    def verdict(self) -> str:
        """What proves it, as a sentence. Raises ``VerificationError`` for a wrong signature."""
        for _ in self.content:  # what follows the image's last partition was signed too
            pass
        for _ in self._raw:
            raise VerificationError(f"{self.name} goes on behind its compressed content")
        return f"signed by {self._verifier.verdict()}" if self._verifier else self._voucher

    def _sized(self, size: int) -> None:
        self.size_bytes = size

    def _seen(self) -> Iterator[bytes]:
        for piece in self._raw:
            self.read_bytes += len(piece)
            if self._verifier is not None:
                self._verifier.feed(piece)
            yield piece

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def find(settings: Settings, *, sector_bytes: int, fetcher: Fetcher) -> Found:
    """The image that ``settings`` ask for, for a disk with such sectors.

    Raises ``VerificationError`` for one without a signature, unless ``--insecure`` allows it.
    """
    if settings.is_offline:
        return live_system.find(sector_bytes=sector_bytes)
    if settings.image_file is not None:
        return _file(settings.image_file, is_insecure=settings.is_insecure)
    if settings.image_url:
        return from_url(settings.image_url, is_insecure=settings.is_insecure, fetcher=fetcher)
    artifact = from_stream(settings, sector_bytes=sector_bytes, fetcher=fetcher)
    return from_url(
        artifact.location, signature_url=artifact.signature, is_insecure=settings.is_insecure, fetcher=fetcher
    )


def from_stream(settings: Settings, *, sector_bytes: int, fetcher: Fetcher) -> Artifact:
    """The metal image of the stream for this architecture and these sectors."""
    prefix = "4k." if sector_bytes == 4096 else ""
    document = read_stream(settings.stream_base_url, settings.stream, fetcher=fetcher)
    return choose(document, architecture=settings.architecture, platform="metal", formats=_formats(prefix))


def _formats(prefix: str) -> tuple[str, ...]:
    return tuple(f"{prefix}raw{suffix}" for suffix in (".zst", ".xz", ".gz", ""))


def read_stream(base_url: str, name: str, *, fetcher: Fetcher) -> stream.Stream:
    """The metadata of the stream ``name`` below ``base_url``."""
    if not base_url:
        raise InputError("there is no address of streams", hint="name one with --stream-base-url=URL")
    url = f"{base_url.rstrip('/')}/{name}.json"
    try:
        return stream.parse(fetcher.read(url), source=url)
    except FileNotFoundError as error:
        raise InputError(f"there is no stream {name}: {error}") from error


def choose(document: stream.Stream, *, architecture: str, platform: str, formats: tuple[str, ...]) -> Artifact:
    """The first of ``formats`` that the stream has. Raises ``InputError`` naming what there is."""
    offered = document.architectures.get(architecture)
    if offered is None:
        known = ", ".join(sorted(document.architectures)) or "none"
        raise InputError(f"stream {document.stream} has nothing for {architecture}; there is: {known}")
    held = offered.artifacts.get(platform)
    for form in formats:
        if held is not None and form in held.formats and "disk" in held.formats[form]:
            return held.formats[form]["disk"]
    known = ", ".join(sorted(f"{name} {form}" for name, one in offered.artifacts.items() for form in one.formats))
    raise InputError(f"stream {document.stream} has no {platform} image as {' or '.join(formats)}; there is: {known}")


def _file(path: Path, *, is_insecure: bool) -> Found:
    proof = path.with_name(f"{path.name}.sig")
    if not path.is_file():
        raise InputError(f"there is no image {path}")
    if not proof.is_file() and not is_insecure:
        raise _unsigned(str(path), str(proof))

    def opened(on_size: Callable[[int], None]) -> Iterator[bytes]:
        with path.open("rb") as file:
            on_size(os.fstat(file.fileno()).st_size)
            while piece := file.read(PIECE_BYTES):
                yield piece

    return Found(name=path.name, open=opened, signature=proof.read_bytes() if proof.is_file() else b"")


def from_url(url: str, *, is_insecure: bool, fetcher: Fetcher, signature_url: str = "") -> Found:
    """The image at ``url``, with the signature at ``signature_url``, or beside it."""
    proof_url = signature_url or f"{url}.sig"
    try:
        proof = fetcher.read(proof_url, limit_bytes=1 << 20)
    except (FileNotFoundError, NetworkError) as error:
        # A server that cannot be asked is no proof that there is no signature.
        if not is_insecure or isinstance(error, NetworkError):
            raise _unsigned(url, proof_url) from error
        proof = b""
    return Found(name=url, open=lambda on_size: fetcher.stream(url, on_size=on_size), signature=proof)


def _unsigned(what: str, proof: str) -> VerificationError:
    return VerificationError(
        f"{what} has no signature: {proof} cannot be read", hint="--insecure installs it all the same"
    )


def require_keys(found: Found, extra: tuple[Path, ...], *, folder: Path = signature.SYSTEM_KEYS) -> tuple[Path, ...]:
    """The keys to judge ``found`` by."""
    return signature.trusted(extra, folder=folder) if found.signature else ()
