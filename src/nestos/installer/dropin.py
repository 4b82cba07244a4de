"""Installer config files: the little of YAML that they need, read without a YAML library.

A node has no YAML library: it would be a package and a megabyte for files of five lines. Options are names with a
text, a list of texts, or true and false; so that is what is read: ``key: value``, ``key: [a, b]``, and ``key:`` with
``- value`` lines below. Anything else of YAML (anchors, block texts, nested mappings) is refused by line, not guessed.
"""

from __future__ import annotations

import json
import re

from nestos.base.errors import InputError

Value = str | bool | list[str]
_KEY = re.compile(r"([A-Za-z0-9_-]+)\s*:(?:\s+(.*))?")
_SPECIAL = "&*!|>%@`{"
_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")


def parse(text: str, *, source: str) -> dict[str, Value]:
    """The options in a config file, in their order. Raises ``InputError`` naming the line that cannot be read."""
    found: dict[str, Value] = {}
    open_list = ""
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#") or line in ("---", "..."):
            continue
        at = f"{source}, line {number}"
        if line == "-" or line.startswith("- "):
            if not open_list:
                raise InputError(f"{at}: a list item without a key above it")
            items = found[open_list]
            assert isinstance(items, list)
            items.append(_text(line[1:].strip(), at=at))
            continue
        match = _KEY.fullmatch(line)
        if match is None or raw[0] in " \t":
            raise InputError(f"{at}: expected KEY: VALUE, not {line!r}", hint=_HINT)
        key, value = match[1], _uncommented(match[2] or "")
        if key in found:
            raise InputError(f"{at}: {key} is given twice")
        open_list = "" if value else key
        found[key] = _value(value, at=at) if value else []
    return found


_HINT = "a config file holds option names with a text, a list of texts, true or false"


def _value(text: str, *, at: str) -> Value:
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if not text.startswith("["):
        return _text(text, at=at)
    if not text.endswith("]"):
        raise InputError(f"{at}: the list has no end", hint="write it on one line, or one item a line below the key")
    parts = re.findall(r"\s*(\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'|[^,\s][^,]*)", text[1:-1])
    return [_text(part.strip(), at=at) for part in parts if part.strip()]


def _text(text: str, *, at: str) -> str:
    text = _uncommented(text)
    if text.startswith('"'):
        try:
            decoded = json.loads(text)
        except ValueError as error:
            raise InputError(f"{at}: {text} is no text in double quotes") from error
        return str(decoded)
    if text.startswith("'"):
        if len(text) < 2 or not text.endswith("'"):
            raise InputError(f"{at}: {text} has no second quote")
        return text[1:-1].replace("''", "'")
    if text[:1] in _SPECIAL or re.search(r":(\s|$)", text):
        raise InputError(f"{at}: {text!r} is YAML that is not read here", hint=f"{_HINT}; put quotes around texts")
    return text


def _uncommented(text: str) -> str:
    """``text`` without a comment behind it; a number sign inside quotes or a word is none."""
    text = text.strip()
    if text.startswith(('"', "'", "[")):
        closing = {"[": "]"}.get(text[:1], text[:1])
        body, _, comment = text.rpartition(closing)
        return body + closing if body and (not comment or comment.lstrip().startswith("#")) else text
    return re.split(r"(?:^|\s)#", text, maxsplit=1)[0].strip()
