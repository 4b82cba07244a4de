"""A runner that answers from rules and remembers what it was asked; it starts nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from nestos.base.errors import CommandError
from nestos.host.process import Completed, RunOptions


@dataclass(frozen=True, kw_only=True)
class Call:
    """One command as it was asked for."""

    line: list[str]
    environment: Mapping[str, str]
    cwd: Path | None


class Scripted:
    """Answers each command by the newest rule whose words are all in it; without a rule it succeeds in silence."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._rules: list[tuple[tuple[str, ...], Completed, Callable[[Call], object]]] = []

    @property
    def lines(self) -> list[list[str]]:
        """The command lines alone."""
        return [call.line for call in self.calls]

    def on(
        self,
        *words: str,
        stdout: str = "",
        stderr: str = "",
        returncode: int = 0,
        does: Callable[[Call], object] = lambda call: None,
    ) -> None:
        """Adds a rule; ``does`` is what the command leaves behind."""
        done = Completed(returncode=returncode, stdout=stdout, stderr=stderr)
        self._rules.insert(0, (words, done, does))

    def called(self, *words: str) -> Call:
        """The one call with these words."""
        found = [call for call in self.calls if all(word in call.line for word in words)]
        assert len(found) == 1, f"{len(found)} calls with {words}: {self.lines}"
        return found[0]

    def __call__(self, command: Sequence[str | os.PathLike[str]], /, **options: Unpack[RunOptions]) -> Completed:
        call = Call(
            line=[os.fspath(part) for part in command],
            environment=dict(options.get("environment") or {}),
            cwd=options.get("cwd"),
        )
        self.calls.append(call)
        for words, done, does in self._rules:
            if all(word in call.line for word in words):
                does(call)
                if done.returncode not in options.get("accepted", (0,)):
                    text = done.stderr or done.stdout
                    raise CommandError(f"exit status {done.returncode}", returncode=done.returncode, output=text)
                return done
        return Completed(returncode=0, stdout="", stderr="")
