"""Compressed streams by their first bytes: gzip and xz by the standard library, xz by ``xz`` where it is (it uses every
core), zstd by ``zstd``. A stream that ends early is an error, never a short image."""

from __future__ import annotations

import lzma
import os
import shutil
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import IO, Protocol

from nestos.base.errors import CommandError, VerificationError
from nestos.host import process

_PIECE_BYTES = 1 << 20
_LONGEST_MAGIC = 6
_GZIP, _XZ, _ZSTD = b"\x1f\x8b", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"


def decompressed(pieces: Iterable[bytes], *, which: Callable[[str], str | None] = shutil.which) -> Iterator[bytes]:
    """The content of ``pieces``; as it is where it is not compressed.

    Raises ``VerificationError`` where it is damaged or cut short.
    """
    source = iter(pieces)
    head = b""
    for piece in source:
        head += piece
        if len(head) >= _LONGEST_MAGIC:
            break
    whole = chain([head], source) if head else source
    if head.startswith(_ZSTD):
        return _by_program(["zstd", "--decompress", "--stdout", "--quiet"], whole)
    if head.startswith(_XZ) and which("xz"):
        return _by_program(["xz", "--decompress", "--stdout", "--threads=0", "--quiet"], whole)
    if head.startswith(_XZ):
        return _by_library(lzma.LZMADecompressor, whole)
    if head.startswith(_GZIP):
        return _by_library(_Gzip, whole)
    return iter(whole)


class _Decompressor(Protocol):
    """One member of a compressed stream, as ``lzma`` has it."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's decompressor in the shape of lzma's."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        out = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        # zlib may hold back output without saying so; an answer of full length is asked for more.
        self.needs_input = not self._inner.unconsumed_tail and len(out) < max_length
        return out


def _by_library(make: Callable[[], _Decompressor], pieces: Iterable[bytes]) -> Iterator[bytes]:
    source = iter(pieces)
    member = make()
    data, is_first = next(source, b""), True
    try:
        while True:
            out = member.decompress(data, _PIECE_BYTES)
            if out:
                yield out
            data = b""
            if member.eof:
                # Another member may follow, as of several threads; zeros are padding.
                rest = member.unused_data.lstrip(b"\0") or next((p for p in source if p.strip(b"\0")), b"")
                if not rest:
                    return
                member, data, is_first = make(), rest.lstrip(b"\0"), False
            elif member.needs_input:
                data = next(source, b"")
                if not data:
                    raise VerificationError("the compressed image is cut short")
    except (lzma.LZMAError, zlib.error) as error:
        where = "" if is_first else " behind its first part"
        raise VerificationError(f"the compressed image is damaged{where}: {error}") from error


def _by_program(command: list[str], pieces: Iterable[bytes]) -> Iterator[bytes]:
    feeding = _Feeder(pieces)
    try:
        started = process.start(command, stdin=process.PIPE, output=process.PIPE, errors=process.PIPE)
    except CommandError as error:
        raise CommandError(
            str(error), returncode=127, output="", hint="use an image that is compressed by xz or gzip"
        ) from error
    assert started.stdin and started.stdout and started.stderr
    feeding.begin(started.stdin)
    try:
        while piece := os.read(started.stdout.fileno(), _PIECE_BYTES):
            yield piece
        feeding.join()
        said = started.stderr.read().decode(errors="replace").strip()
        if started.wait() != 0:
            raise VerificationError(f"the compressed image is damaged or cut short: {said}")
    finally:
        started.kill()
        started.wait()
        feeding.abandon()
        started.stdout.close()
        started.stderr.close()


class _Feeder:
    """A thread that writes pieces into a pipe and closes it. What the source raises is raised again by ``join``."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def begin(self, pipe: IO[bytes]) -> None:
        self._thread = threading.Thread(target=self._run, args=(pipe,), daemon=True)
        self._thread.start()

    def _run(self, pipe: IO[bytes]) -> None:
        try:
            for piece in self._pieces:
                pipe.write(piece)
        except BrokenPipeError:
            pass  # the program ended; its status says why
        except BaseException as error:  # a thread's rim
            self._error = error
        finally:
            with suppress(BrokenPipeError):
                pipe.close()

    def join(self) -> None:
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error

    def abandon(self) -> None:
        """The program is gone: the next write fails, and the thread with it."""
        if self._thread is not None:
            self._thread.join(timeout=5)
