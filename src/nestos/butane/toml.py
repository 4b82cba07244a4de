"""Plain data as TOML 1.0: the other way of ``tomllib``, which only reads."""

from __future__ import annotations

import json
import math
import re
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dump(data: dict[str, Any]) -> str:
    """The text for ``data``: texts, whole numbers, fractions, flags, lists and mappings of them."""
    lines: list[str] = []
    _table(data, (), lines)
    return "\n".join(lines).lstrip("\n") + "\n" if lines else ""


def _table(data: dict[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    """Plain values first: what follows the header of a table belongs to that table."""
    for name, value in data.items():
        if not _has_header(value):
            lines.append(f"{_key(name)} = {_value(value)}")
    for name, value in data.items():
        below = (*path, name)
        header = ".".join(_key(part) for part in below)
        if isinstance(value, dict):
            lines += ["", f"[{header}]"]
            _table(value, below, lines)
        elif _has_header(value):
            for item in value:
                lines += ["", f"[[{header}]]"]
                _table(item, below, lines)


def _has_header(value: Any) -> bool:
    """True for what is written under a header of its own: a mapping, or a list of nothing but mappings."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, dict) for item in value)
    return isinstance(value, dict)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _fraction(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(name)} = {_value(item)}" for name, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    return _text(str(value))


def _fraction(value: float) -> str:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return repr(value)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _text(value: str) -> str:
    """A basic string: JSON's escapes are TOML's, but for surrogates in pairs and the character DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
