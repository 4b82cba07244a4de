"""Which hosts go without a proxy."""

from __future__ import annotations

import pytest

from nestos.ignition.engine.fetchers.bypass import goes_direct


@pytest.mark.parametrize(
    ("rule", "host", "port", "direct"),
    [
        ("*", "anything", 80, True),
        ("example.com", "example.com", 80, True),
        ("EXAMPLE.com", "Example.COM", 80, True),
        ("example.com", "example.com.", 80, False),
        ("example.com", "a.example.com", 80, True),
        ("example.com", "notexample.com", 80, False),
        (".example.com", "example.com", 80, False),
        (".example.com", "a.example.com", 80, True),
        ("*.example.com", "a.example.com", 80, True),
        ("example.com:80", "example.com", 80, True),
        ("example.com:8080", "example.com", 80, False),
        ("example.com:8080", "example.com", 8080, True),
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "11.1.2.3", 80, False),
        ("10.0.0.0/8", "ten.example.com", 80, False),
        ("10.1.2.3", "10.1.2.3", 80, True),
        ("fd00::/8", "fd00::1", 80, True),
        ("[fd00::1]:80", "fd00::1", 80, True),
        ("fd00::1", "fd00::1", 80, True),
        ("[fd00::1]", "fd00::1", 80, False),
        ("fe80::/10", "fe80::1%eth0", 80, True),
        ("other, example.com", "example.com", 80, True),
        (":80", "example.com", 80, False),
        ("nonsense/99", "10.1.2.3", 80, False),
        ("", "example.com", 80, False),
        ("other", "localhost", 80, True),
        ("other", "127.0.0.2", 80, True),
        ("other", "::1", 80, True),
    ],
)
def test_the_rules_are_those_of_go(rule: str, host: str, port: int, direct: bool) -> None:
    assert goes_direct(host, port, [rule]) is direct
