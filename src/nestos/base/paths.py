"""Paths inside a root that may be hostile.

A tree being built, a mounted slot or a node's ``/sysroot`` holds symbolic links that mean something only inside
that tree. ``Root`` resolves a path the way a process chrooted there would, so that no link leads outside.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from nestos.base.errors import InputError

_MOST_LINKS = 40  # as the kernel's own limit, path_resolution(7)


class Root:
    """A folder taken as ``/``. Paths given to it are absolute or relative to it, in POSIX form."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Root({str(self.path)!r})"

    def join(self, path: str | os.PathLike[str], *, follow_last: bool = True) -> Path:
        """The host path of ``path`` inside the root; links on the way are followed inside the root.

        With ``follow_last=False`` the last element is not followed. Missing elements are allowed: what follows
        them is joined literally. Raises ``InputError`` when links form a loop.
        """
        pending = list(PurePosixPath("/", os.fspath(path)).parts[1:])
        resolved: list[str] = []
        links = 0
        while pending:
            part = pending.pop(0)
            if part == "..":
                resolved = resolved[:-1]
                continue
            candidate = self.path.joinpath(*resolved, part)
            if (pending or follow_last) and candidate.is_symlink():
                links += 1
                if links > _MOST_LINKS:
                    raise InputError(f"too many levels of symbolic links in {path} inside {self.path}")
                target = PurePosixPath(candidate.readlink())
                if target.is_absolute():
                    resolved = []
                pending = [*(p for p in target.parts if p != "/"), *pending]
                continue
            resolved.append(part)
        return self.path.joinpath(*resolved)
