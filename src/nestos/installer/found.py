"""An image that was found, wherever it is: what every kind of source gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Found:
    """An image to read: its name, a function that opens its bytes, and its detached signature (empty: none).

    ``voucher``: what proves it where it has no signature, as a sentence; empty: nothing does.
    """

    name: str
    open: Callable[[Callable[[int], None]], Iterator[bytes]]
    signature: bytes = b""
    voucher: str = ""
