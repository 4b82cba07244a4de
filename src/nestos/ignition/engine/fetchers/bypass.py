"""Which hosts are reached without a proxy: the rules of Go's ``httpproxy`` for its ``NO_PROXY``."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_WITH_PORT = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*)):([^:\[\]]*)")


def goes_direct(host: str, port: int, rules: Iterable[str]) -> bool:
    """True if a rule names ``host``: ``*``, an address, a network, a domain (with those below it), ``.domain`` (only
    those below); all but networks also with a port. The machine itself is always direct."""
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    host = host.lower().strip()
    listed = [rule.strip().lower() for text in rules for rule in text.split(",")]
    return "*" in listed or any(_matches(rule, host, port, address) for rule in listed if rule)


def _address(text: str) -> _Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _network_holds(rule: str, address: _Address | None) -> bool | None:
    """Whether ``rule`` is a network with ``address`` in it; none if it is no network."""
    if "/" not in rule:
        return None
    try:
        network = ipaddress.ip_network(rule, strict=False)
    except ValueError:
        return None
    return address is not None and address in network


def _matches(rule: str, host: str, port: int, address: _Address | None) -> bool:
    in_network = _network_holds(rule, address)
    if in_network is not None:
        return in_network
    split = _WITH_PORT.fullmatch(rule)
    if split is not None:
        rule = split[1] or split[2] or ""
        if not rule or split[3] not in ("", str(port)):
            return False
    named = _address(rule)
    if named is not None or address is not None:
        return named == address
    if rule.startswith("*."):
        rule = rule[1:]
    return host.endswith(rule) if rule.startswith(".") else host == rule or host.endswith(f".{rule}")
