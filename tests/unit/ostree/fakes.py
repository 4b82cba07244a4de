"""A runner that answers from a script instead of starting processes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Unpack

from nestos.base.errors import CommandError
from nestos.host.process import Completed, RunOptions


class ScriptedRunner:
    """Answers each command by the first rule whose words all occur in it; records every command line."""

    def __init__(self) -> None:
        self.lines: list[list[str]] = []
        self._rules: list[tuple[tuple[str, ...], Completed]] = []

    def answers(self, *words: str, stdout: str = "", stderr: str = "", returncode: int = 0) -> None:
        self._rules.append((words, Completed(returncode=returncode, stdout=stdout, stderr=stderr)))

    def fails(self, *words: str, stderr: str) -> None:
        self.answers(*words, stderr=stderr, returncode=1)

    def __call__(self, command: Sequence[str | os.PathLike[str]], /, **options: Unpack[RunOptions]) -> Completed:
        line = [os.fspath(part) for part in command]
        self.lines.append(line)
        for words, done in self._rules:
            if all(word in line for word in words):
                if done.returncode not in options.get("accepted", (0,)):
                    raise CommandError("exit status 1", returncode=done.returncode, output=done.stderr)
                return done
        return Completed(returncode=0, stdout="", stderr="")
