"""Hash functions of resources. Apart, because the standard library's loads a cryptography library."""

from __future__ import annotations

import hashlib
from typing import Protocol

from nestos.ignition.engine.transport import FetchError


class Digest(Protocol):
    """A hash being computed."""

    def update(self, data: bytes, /) -> None:
        """Takes the next bytes."""

    def hexdigest(self) -> str:
        """The hash of all bytes so far, in lower-case hexadecimal."""


def start(specifier: str) -> Digest:
    """A new hash of the function that ``function-digest`` names."""
    function = specifier.partition("-")[0]
    if function not in ("sha256", "sha512"):
        raise FetchError(f"unrecognized hash function {function!r}")
    return hashlib.new(function)
