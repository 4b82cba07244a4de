"""Building a slot image with the tools of the release itself.

Compression gives other bytes in other versions of its library, so when the release brings other tools than the
running system has, mkfs.erofs runs inside the release's tree.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from nestos.host.process import Completed, Runner, RunOptions

_INSIDE = "/run"  # a folder that every tree has and that holds nothing


class ToolsOfTree:
    """A ``Runner`` that runs mkfs.erofs from the tree at ``staging/tree``, and everything else as ``runner`` does.

    ``staging`` is visible inside as /run, and arguments that name something below it are translated.
    """

    def __init__(self, runner: Runner, *, staging: Path) -> None:
        self._runner = runner
        self._staging = staging

    def __call__(self, command: Sequence[str | os.PathLike[str]], /, **options: Unpack[RunOptions]) -> Completed:
        """As ``process.run``."""
        return self._runner(
            self._inside(command) if os.fspath(command[0]) == "mkfs.erofs" else command,
            **options,
        )

    def _inside(self, command: Sequence[str | os.PathLike[str]]) -> list[str]:
        tree = os.fspath(self._staging / "tree")
        script = 'mount --bind "$1" "$2/run" && tree=$2 && shift 2 && exec chroot "$tree" "$@"'
        # The mount is private to the command: the tree's own files are not touched, and nothing is left behind.
        line = ["unshare", "--mount", "--propagation=private", "sh", "-c", script, "tools-of-tree"]
        return [*line, os.fspath(self._staging), tree, *(self._translate(os.fspath(part)) for part in command)]

    def _translate(self, argument: str) -> str:
        path = Path(argument)
        if path.is_absolute() and path.is_relative_to(self._staging):
            return os.fspath(Path(_INSIDE) / path.relative_to(self._staging))
        return argument
