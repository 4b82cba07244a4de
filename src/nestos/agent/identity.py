"""Who this node is to update and lock servers: as zincati tells them, so that both servers know it again."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin

from nestos.base.errors import InputError

APPLICATION = bytes.fromhex("de35106b6ec24688b63afddaa156679b")
"""zincati's application id: a node that changes to this agent stays the same node."""

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_MACHINE_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a node says of itself. ``basearch``: as RPM names it. ``wariness``: none is not told."""

    node_uuid: str
    group: str
    basearch: str
    platform: str
    stream: str
    wariness: float | None = None


def node_uuid(machine_id: str) -> str:
    """The app-specific id of a machine (sd_id128_get_machine_app_specific(3)): 32 hexadecimal digits.

    Raises ``InputError`` where the machine id is none, as on a node that has not finished its first boot.
    """
    text = machine_id.strip()
    if not _MACHINE_ID.fullmatch(text):
        raise InputError(f"the machine id {text!r} is no 32 hexadecimal digits")
    digest = bytearray(hmac.new(bytes.fromhex(text), APPLICATION, hashlib.sha256).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x40
    digest[8] = digest[8] & 0x3F | 0x80
    return digest.hex()


def platform(command_line: str) -> str:
    """The value of ``ignition.platform.id`` on the kernel's command line; ``metal`` where there is none."""
    for word in command_line.split():
        name, _, value = word.partition("=")
        if name == "ignition.platform.id" and value:
            return value
    return "metal"


def stream(ref: str) -> str:
    """The last part of the branch that a release came from: ``nestos/x86_64/stable`` is ``stable``."""
    return ref.rpartition("/")[2]


def filled_in(url: str, identity: Identity) -> str:
    """``url`` with ``${basearch}``, ``${group}``, ``${platform}`` and ``${stream}`` replaced.

    Raises ``InputError`` for another variable.
    """
    values: Mapping[str, str] = {
        "basearch": identity.basearch,
        "group": identity.group,
        "platform": identity.platform,
        "stream": identity.stream,
    }

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise InputError(f"there is no variable {match[0]}, only {', '.join(values)}: {url}")
        return values[match[1]]

    return _VARIABLE.sub(value, url)


def address(base_url: str, path: str) -> str:
    """``path`` below ``base_url``, joined as the original joins it: without a slash at its end, the base loses its
    last part."""
    return urljoin(base_url, path)
