"""A runner that records command lines instead of running them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from nestos.host.process import Completed


class Recorder:
    """Satisfies ``Runner``; ``lines`` are the commands, ``environments`` what each was given."""

    def __init__(self) -> None:
        self.lines: list[list[str]] = []
        self.environments: list[dict[str, str]] = []

    def __call__(
        self,
        command: Sequence[str | os.PathLike[str]],
        /,
        *,
        environment: Mapping[str, str] | None = None,
        stdin: str | bytes | None = None,
        cwd: Path | None = None,
        timeout_seconds: float | None = None,
        accepted: Sequence[int] = (0,),
        secrets: Sequence[str] = (),
        output: IO[bytes] | None = None,
    ) -> Completed:
        line = [os.fspath(part) for part in command]
        self.lines.append(line)
        self.environments.append(dict(environment or {}))
        self.act(line)
        return Completed(returncode=0, stdout="", stderr="")

    def act(self, line: list[str]) -> None:
        """What the command leaves behind; nothing here."""
