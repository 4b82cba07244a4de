"""The text of units."""

from __future__ import annotations

import pytest

from nestos.ignition.spec.units import UnitError, sections


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("[Unit]\nA=b\n[Install]\nWantedBy=x\n", ["Unit", "Install"]),
        ("# a comment\n; another\n\n [Service] \nA=\n", ["Service"]),
        ("[Install]\n", []),
        ("[A]\nx=" + "y" * 2000 + "\nz=1\n", ["A", "A"]),
        ("[Service]\nExecStart=/bin/sh -c \\\n  [Install] \\\n  end\n", ["Service"]),
        ("words before the first section", []),
    ],
)
def test_sections_are_found(text: str, found: list[str]) -> None:
    assert sections(text) == found


@pytest.mark.parametrize("text", ["[Service", "[A]x\nb=c", "[A]\nx=" + "y" * 3000, "[A]\nword\nb=c\n", "[Service]\nA"])
def test_what_is_no_unit_is_refused(text: str) -> None:
    with pytest.raises(UnitError):
        sections(text)
