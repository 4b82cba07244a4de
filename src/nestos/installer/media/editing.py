"""A live ISO that is changed in place: the embedded archive and the kernel arguments, in the room kept for them.

Nothing moves, so no tool that makes ISO images is needed. ``wire.live_iso`` tells the form.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from nestos.base import durable
from nestos.base.errors import InputError, StateError
from nestos.host.bootloader import grub_live
from nestos.wire import cpio, iso9660, live_iso
from nestos.wire.iso9660 import Volume

_PIECE_BYTES = 1 << 20
STDOUT = Path("-")


@dataclass(frozen=True, kw_only=True)
class LiveIso:
    """An open live ISO."""

    volume: Volume

    @property
    def file(self) -> BinaryIO:
        """Its file."""
        return self.volume.file

    def archive(self) -> dict[str, bytes]:
        """The files that are embedded; none in an ISO as it was made."""
        return cpio.unpack(self.volume.read(self._area()))

    def set_archive(self, files: Mapping[str, bytes]) -> None:
        """Embeds ``files`` in the place of what was. Raises ``InputError`` where they do not fit."""
        entry = self.volume.find(self._area())
        data = cpio.compress(cpio.pack(files)) if files else b""
        if len(data) > entry.size:
            raise InputError(
                f"what is to be embedded has {len(data)} bytes compressed, this ISO has room for {entry.size}",
                hint="let the config merge the larger part from an address",
            )
        self.file.seek(entry.offset)
        self.file.write(data.ljust(entry.size, b"\0"))

    def default_kargs(self) -> list[str]:
        """The kernel arguments that it was made with."""
        return str(self._kargs_info()["default"]).split()

    def kargs(self) -> list[str]:
        """The kernel arguments that it boots with."""
        info = self._kargs_info()
        offset, size = self._karg_places(info)[0]
        self.file.seek(offset)
        text = self.file.read(size).decode(errors="replace")
        return text.partition(str(info["files"][0]["end"]))[0].split()

    def set_kargs(self, kargs: Sequence[str]) -> None:
        """Writes other kernel arguments. Raises ``InputError`` for those that the boot loader cannot take."""
        for offset, size in self._karg_places(self._kargs_info()):
            area = grub_live.karg_area(kargs, size_bytes=size).encode()
            self.file.seek(offset)
            self.file.write(area)

    def _area(self) -> str:
        return str(self._json(live_iso.IGNITION_INFO)["file"])

    def _kargs_info(self) -> dict[str, Any]:
        return self._json(live_iso.KARGS_INFO)

    def _karg_places(self, info: Mapping[str, Any]) -> list[tuple[int, int]]:
        size = int(info["size"])
        return [(self.volume.find(str(one["path"])).offset + int(one["offset"]), size) for one in info["files"]]

    def _json(self, path: str) -> dict[str, Any]:
        try:
            document = json.loads(self.volume.read(path))
        except (FileNotFoundError, ValueError) as error:
            raise InputError("not a live ISO of this system") from error
        if not isinstance(document, dict):
            raise InputError("not a live ISO of this system")
        return document


@contextmanager
def reading(path: Path) -> Iterator[LiveIso]:
    """The ISO at ``path``, to look at."""
    with _open(path, "rb") as file:
        yield LiveIso(volume=iso9660.opened(file))


@contextmanager
def changing(path: Path, *, output: Path | None = None) -> Iterator[LiveIso]:
    """The ISO at ``path``, to change: in place, or as a new file ``output`` (``-``: standard output).

    Where the block raises, ``output`` does not come to be. Raises ``StateError`` where it is there already.
    """
    if output is None:
        with _open(path, "r+b") as file:
            yield LiveIso(volume=iso9660.opened(file))
            file.flush()
            os.fsync(file.fileno())
    elif output == STDOUT:
        with _open(path, "rb") as source, tempfile.TemporaryFile() as file:
            shutil.copyfileobj(source, file, _PIECE_BYTES)
            yield LiveIso(volume=iso9660.opened(file))
            file.seek(0)
            shutil.copyfileobj(file, sys.stdout.buffer, _PIECE_BYTES)
    else:
        refuse_existing(output)
        with _open(path, "rb") as source, durable.replacing(output) as written:
            shutil.copyfileobj(source, written, _PIECE_BYTES)
            written.flush()
            with open(written.fileno(), "r+b", closefd=False) as file:
                yield LiveIso(volume=iso9660.opened(file))


def refuse_existing(path: Path) -> None:
    """Raises ``StateError`` where ``path`` is there: a result never takes the place of something else."""
    if path.exists():
        raise StateError(f"{path} is there already", hint="name another file, or remove it")


@contextmanager
def _open(path: Path, mode: Literal["rb", "r+b"]) -> Iterator[BinaryIO]:
    try:
        file = path.open(mode)
    except OSError as error:
        raise InputError(f"cannot open {path}: {error.strerror}") from error
    with file:
        yield file
