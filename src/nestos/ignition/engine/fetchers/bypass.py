"""Which hosts are reached without a proxy: the rules of Go's ``httpproxy`` for its ``NO_PROXY``."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

_PORTS = {"http": 80, "https": 443}


def goes_direct(host: str, port: int | None, rules: Iterable[str], *, scheme: str = "http") -> bool:
    """True if a rule names ``host``: ``*``, an address, a network, a domain (with those below it), ``.domain`` (only
    those below), each of the first two kinds of name also with a port. The machine itself is always direct."""
    host = host.lower().rstrip(".")
    port = port or _PORTS.get(scheme)
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(_matches(rule.strip().lower(), host, port, address) for rule in rules)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _matches(
    rule: str, host: str, port: int | None, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None
) -> bool:
    if rule in ("", "*"):
        return rule == "*"
    if "/" in rule:
        try:
            return address is not None and address in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
    name, colon, wanted = rule.rpartition(":")
    if colon and wanted.isdigit() and (":" not in name or name.startswith("[")):
        if port != int(wanted):
            return False
        rule = name
    rule = rule.strip("[]")
    if address is not None:
        return _address(rule) == address
    if rule.startswith("*."):
        rule = rule[1:]
    return host.endswith(rule) if rule.startswith(".") else host == rule or host.endswith(f".{rule}")
