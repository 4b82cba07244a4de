"""Reading a file that somebody else may write: no link is followed, no device or pipe opened, no end waited for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def regular(path: Path, *, most_bytes: int, mode_not: int = 0) -> bytes:
    """The content of a regular file that has at most so many bytes and none of the permission bits ``mode_not``.

    Raises ``OSError`` for anything else, a symbolic link included; the folders on the way are believed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "is no regular file", str(path))
        if mode & mode_not:
            raise OSError(errno.EPERM, "may be written by too many", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(most_bytes + 1)
    finally:
        os.close(descriptor)
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"has more than {most_bytes} bytes", str(path))
    return data
