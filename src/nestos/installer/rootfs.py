"""The root of a live system over the network: streamed into a file of memory, proven before it is used."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from pathlib import Path

from nestos.base.errors import SpaceError, VerificationError
from nestos.installer.fetch import Fetcher

_TENTHS = 10


def fetch(url: str, output: Path, *, size: int, sha256: str, fetcher: Fetcher, say: Callable[[str], None]) -> None:
    """Writes what is at ``url`` to ``output``.

    Raises ``VerificationError`` where it is not the file meant (``output`` is gone then), ``SpaceError`` where memory
    does not hold it, and what ``Fetcher`` raises.
    """
    total, done, told = hashlib.sha256(), 0, 0
    try:
        with output.open("wb") as file:
            for piece in fetcher.stream(url):
                done += len(piece)
                if done > size:
                    raise _another(url, f"more than {size} bytes")
                total.update(piece)
                file.write(piece)
                if done * _TENTHS // size > told:
                    told = done * _TENTHS // size
                    say(f"{told * 100 // _TENTHS} % of {size >> 20} MiB")
        if done != size or total.hexdigest() != sha256:
            raise _another(url, f"{done} bytes and the sha256 {total.hexdigest()}")
    except BaseException as error:
        output.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise SpaceError(
                f"{url} does not fit into memory: {size >> 20} MiB are needed, there was room for {done >> 20}",
                hint="give the machine more memory",
            ) from error
        raise


def _another(url: str, what: str) -> VerificationError:
    return VerificationError(
        f"{url} has {what}: it is damaged, or of another release than this kernel and initramfs",
        hint="kernel, initramfs and root of a network boot belong together",
    )
