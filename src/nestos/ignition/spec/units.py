"""The text of systemd units, read as far as validation needs it (systemd.syntax(7))."""

from __future__ import annotations

import re

SUFFIXES = (
    ".service", ".socket", ".device", ".mount", ".automount", ".swap", ".target", ".path", ".timer", ".snapshot",
    ".slice", ".scope",
)  # fmt: skip


class UnitError(ValueError):
    """The text is not a unit."""


def _from_bracket(line: str) -> str:
    """What is left of a line before the first section once all in front of its bracket is passed over."""
    match = re.search(r"[\[#;]", line)
    return line[match.start() :] if match and match[0] == "[" else ""


def sections(text: str) -> list[str]:
    """The names of the sections in ``text``, in order. Raises ``UnitError``."""
    found: list[str] = []
    lines = text.split("\n")
    continued = False
    for number, line in enumerate(lines):
        bare = line.strip(" \t\r")
        if continued:
            continued = bare.endswith("\\") or bare[:1] in ("#", ";")
            continue
        if not bare or bare[0] in "#;":
            continue
        if not found:
            bare = _from_bracket(bare)
        if bare.startswith("["):
            name, bracket, rest = bare[1:].partition("]")
            if not bracket:
                raise UnitError("unable to find end of section")
            if rest.strip():
                raise UnitError(f'found garbage after section name {name}: "{rest.strip()}"')
            found.append(name)
            continue
        if not found:
            continue
        if "=" not in bare:
            last = number == len(lines) - 1
            raise UnitError("EOF" if last else "unexpected newline encountered while parsing option name")
        continued = bare.endswith("\\")
    return found
