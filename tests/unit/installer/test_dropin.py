"""The little YAML of config files: what it means, and that nothing else is guessed."""

from __future__ import annotations

import pytest
import yaml

from nestos.base.errors import InputError
from nestos.installer.dropin import parse

_GOOD = """\
---
# an installation
dest-device: /dev/disk/by-id/virtio-target
image-url: https://example.com/a.raw.xz#part  # where it is
insecure: true
is-it: false
append-karg:
  - quiet
  - "a=b c"
  - 'it''s'
save-partlabel: [data, "x, y", 'z']
firstboot-args: "ip=dhcp: \\u00e9"
"""


def test_it_means_what_yaml_means() -> None:
    text = _GOOD
    assert parse(text, source="f") == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\na: 2\n", "line 2: a is given twice"),
        ("  a: 1\n", "line 1: expected KEY"),
        ("- a\n", "line 1: a list item without a key"),
        ("a: {b: c}\n", "YAML that is not read here"),
        ("a: &x y\n", "YAML that is not read here"),
        ("a: |\n  text\n", "YAML that is not read here"),
        ("a: [b,\n", "the list has no end"),
        ("a: 'b\n", "has no second quote"),
        ('a: "b\n', "no text in double quotes"),
        ("a: b: c\n", "YAML that is not read here"),
        ("text\n", "expected KEY: VALUE"),
    ],
)
def test_other_yaml_is_refused_by_line(text: str, line: str) -> None:
    with pytest.raises(InputError, match=line):
        parse(text, source="f")
