"""Variables: ``${name}`` in texts, and the conditions of ``conditional-include``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from nestos.base.report import Report, nearest
from nestos.wire.manifest.document import Node

Variable: TypeAlias = str | int | float | bool
Variables: TypeAlias = Mapping[str, Variable]

RESERVED = ("basearch", "debarch", "releasever")
"""Variables that define themselves."""

_DEBIAN_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64el", "loongarch64": "loong64"}
_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_CONDITION = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_-]*)\s*(==|!=|<=|>=|<|>)\s*(.+?)\s*")
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def debian_architecture(arch: str) -> str:
    """Debian's name of an architecture: ``amd64`` for ``x86_64``."""
    return _DEBIAN_NAMES.get(arch, arch)


def substitute(node: Node, variables: Variables, report: Report) -> str:
    """The node's text with every ``${name}`` replaced. Unknown names are reported and left as they are."""

    def replacement(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in variables:
            node.say(report, f'the variable "{name}" is not defined{nearest(name, variables)}')
            return match.group()
        value = variables[name]
        return str(value).lower() if isinstance(value, bool) else str(value)

    return _REFERENCE.sub(replacement, node.text)


def holds(node: Node, variables: Variables, report: Report) -> bool:
    """Whether the condition in ``node`` is true; False, with a finding, where it makes no sense."""
    match = _CONDITION.fullmatch(node.text)
    wanted = _literal(match.group(3)) if match else None
    if match is None or wanted is None:
        node.say(
            report,
            f'"{node.text}" is no condition: write NAME OPERATOR VALUE, such as releasever >= 13 or stream == "stable"',
        )
        return False
    name, symbol = match.group(1), match.group(2)
    if name not in variables:
        node.say(report, f'the variable "{name}" is not defined{nearest(name, variables)}')
        return False
    pair = _comparable(variables[name], wanted)
    if pair is None or (symbol not in {"==", "!="} and isinstance(pair[0], bool)):
        node.say(report, f'"{name}" is {variables[name]!r}, which cannot be compared with {match.group(3)} by {symbol}')
        return False
    return bool(_OPERATORS[symbol](*pair))


def _literal(text: str) -> Variable | None:
    quoted = _QUOTED.fullmatch(text)
    if quoted:
        return quoted.group(1) if quoted.group(1) is not None else quoted.group(2)
    if text in {"true", "false"}:
        return text == "true"
    return _number(text)


def _number(text: str) -> int | float | None:
    if re.fullmatch(r"[-+]?[0-9]{1,30}", text):
        return int(text)
    if re.fullmatch(r"[-+]?[0-9]{1,30}\.[0-9]{1,30}", text):
        return float(text)
    return None


def _comparable(left: Variable, right: Variable) -> tuple[Variable, Variable] | None:
    """Both sides as one type: a text that is a number meets a number as one (``releasever: "13"``)."""
    if isinstance(left, bool) or isinstance(right, bool):
        return (left, right) if isinstance(left, bool) and isinstance(right, bool) else None
    if isinstance(left, str) and not isinstance(right, str):
        number = _number(left)
        return None if number is None else (number, right)
    if isinstance(right, str) and not isinstance(left, str):
        number = _number(right)
        return None if number is None else (left, number)
    return (left, right)
