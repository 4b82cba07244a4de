"""Which hosts go without a proxy."""

from __future__ import annotations

import pytest

from nestos.ignition.engine.fetchers.bypass import goes_direct


@pytest.mark.parametrize(
    ("rule", "host", "port", "direct"),
    [
        ("*", "anything", None, True),
        ("example.com", "example.com", None, True),
        ("example.com", "EXAMPLE.com.", None, True),
        ("example.com", "a.example.com", None, True),
        ("example.com", "notexample.com", None, False),
        (".example.com", "example.com", None, False),
        (".example.com", "a.example.com", None, True),
        ("*.example.com", "a.example.com", None, True),
        ("example.com:80", "example.com", None, True),
        ("example.com:8080", "example.com", None, False),
        ("example.com:8080", "example.com", 8080, True),
        ("10.0.0.0/8", "10.1.2.3", None, True),
        ("10.0.0.0/8", "11.1.2.3", None, False),
        ("10.0.0.0/8", "ten.example.com", None, False),
        ("10.1.2.3", "10.1.2.3", None, True),
        ("fd00::/8", "fd00::1", None, True),
        ("[fd00::1]:80", "fd00::1", None, True),
        ("fd00::1", "fd00::1", None, True),
        ("nonsense/99", "10.1.2.3", None, False),
        ("", "example.com", None, False),
        ("other", "localhost", None, True),
        ("other", "127.0.0.2", None, True),
        ("other", "::1", None, True),
    ],
)
def test_the_rules_are_those_of_go(rule: str, host: str, port: int | None, direct: bool) -> None:
    assert goes_direct(host, port, [rule]) is direct
