"""JSON as text: decoding by Go's rules, and the line and column of every value.

The values come from the standard library's fast decoder. Places are worked out by a second, slower pass that runs
only when there is something to report, so that a good config pays nothing for them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NoReturn

from nestos.base.report import Finding, Report

Path = tuple[str | int, ...]

_TOKEN = re.compile(r'[ \t\r\n]+|(?P<text>"(?:[^"\\]|\\.)*")|(?P<mark>[{}\[\]:,])|(?P<word>[^\s{}\[\]:,"]+)')


class JsonError(ValueError):
    """The text is not JSON. ``line`` and ``column`` count from 1."""

    def __init__(self, message: str, *, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def _constant(name: str) -> NoReturn:
    raise JsonError(f"{name} is not a JSON value", line=0, column=0)


def decode(text: str) -> object:
    """The value that ``text`` stands for. Raises ``JsonError``.

    Lone surrogates written as escapes become U+FFFD, as in Go, so that the result can always be encoded.
    """
    try:
        value = json.loads(text, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise JsonError(f"not valid JSON: {error.msg}", line=error.lineno, column=error.colno) from error
    except RecursionError as error:
        raise JsonError("not valid JSON: nested too deeply", line=0, column=0) from error
    except ValueError as error:
        if isinstance(error, JsonError):
            raise
        raise JsonError(f"not valid JSON: {error}", line=0, column=0) from error
    return value


def without_surrogates(text: str) -> str:
    """``text`` with each lone surrogate replaced by U+FFFD; any other text is returned as it is."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@dataclass(frozen=True)
class Places:
    """Where values and keys begin, as (line, column) by folded path; see ``places``."""

    values: dict[Path, tuple[int, int]]
    keys: dict[Path, tuple[int, int]]

    def of_value(self, path: Path) -> tuple[int, int]:
        """The place of the value at ``path``, or of the nearest enclosing value that the text has."""
        folded = _folded(path)
        while folded and folded not in self.values:
            folded = folded[:-1]
        return self.values.get(folded, (0, 0))

    def of_key(self, path: Path) -> tuple[int, int]:
        """The place of the key that ends ``path``."""
        return self.keys.get(_folded(path)) or self.of_value(path)


def _folded(path: Path) -> Path:
    """Keys match in any case, so places are looked up in one."""
    return tuple(part.lower() if isinstance(part, str) else part for part in path)


def places(text: str) -> Places:
    """The places of all keys and values of a text that ``decode`` accepts."""
    values: dict[Path, tuple[int, int]] = {}
    keys: dict[Path, tuple[int, int]] = {}
    line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
    line = 0
    path: list[str | int] = []
    kinds: list[str] = []  # of the open containers: "{" or "["
    key_next = False
    for token in _TOKEN.finditer(text):
        symbol = token[0]
        offset = token.start()
        if token.lastgroup is None:
            continue
        while line + 1 < len(line_starts) and line_starts[line + 1] <= offset:
            line += 1
        place = (line + 1, offset - line_starts[line] + 1)
        if symbol in "}]":
            kinds.pop()
            path.pop()
            key_next = False
        elif symbol == ",":
            key_next = kinds[-1] == "{"
            if not key_next:
                path[-1] = int(path[-1]) + 1
        elif symbol == ":":
            key_next = False
        elif key_next:
            path[-1] = str(json.loads(symbol)).lower()
            keys[tuple(path)] = place
        else:
            values[tuple(path)] = place
            if symbol in "{[":
                kinds.append(symbol)
                path.append("" if symbol == "{" else 0)
                key_next = symbol == "{"
    return Places(values=values, keys=keys)


def located(findings: Iterable[Finding], *, text: str, source: str, at_keys: Iterable[Finding] = ()) -> Report:
    """A report of ``findings`` with the place of their values, then of ``at_keys`` with the place of their keys."""
    findings, at_keys = list(findings), list(at_keys)
    report = Report()
    if not findings and not at_keys:
        return report
    known = places(text)
    for finding in findings:
        line, column = known.of_value(finding.path)
        report.findings.append(replace(finding, line=line, column=column, source=source))
    for finding in at_keys:
        line, column = known.of_key(finding.path)
        report.findings.append(replace(finding, line=line, column=column, source=source))
    return report
