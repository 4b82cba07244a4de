"""A runner that records command lines instead of running them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Unpack

from nestos.host.process import Completed, RunOptions


class Recorder:
    """Satisfies ``Runner``; ``lines`` are the commands, ``environments`` what each was given."""

    def __init__(self) -> None:
        self.lines: list[list[str]] = []
        self.environments: list[dict[str, str]] = []

    def __call__(self, command: Sequence[str | os.PathLike[str]], /, **options: Unpack[RunOptions]) -> Completed:
        line = [os.fspath(part) for part in command]
        self.lines.append(line)
        self.environments.append(dict(options.get("environment") or {}))
        self.act(line)
        return Completed(returncode=0, stdout="", stderr="")

    def act(self, line: list[str]) -> None:
        """What the command leaves behind; nothing here."""
