"""Structured journal records with fixed message ids, sent in the journal's own protocol.

Protocol: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/. The ids and fields are those of the original, so that what
watches for them (``journalctl MESSAGE_ID=...``) finds them here too.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

CONFIG_FETCHED = "57124006b5c94805b77ce473e92a8aeb"
KEYS_WRITTEN = "225067b87bbd4a0cb6ab151f82fa364b"
_INFO = "6"


def encoded(fields: Mapping[str, str]) -> bytes:
    """The fields as one record."""
    parts = []
    for name, value in fields.items():
        data = value.encode()
        if b"\n" in data:
            parts.append(name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n")
        else:
            parts.append(name.encode() + b"=" + data + b"\n")
    return b"".join(parts)


def send(address: Path, message: str, *, message_id: str, **fields: str) -> None:
    """Sends one record; a journal that cannot take it is no reason to fail."""
    record = encoded(
        {
            "MESSAGE": message,
            "MESSAGE_ID": message_id,
            "PRIORITY": _INFO,
            "SYSLOG_IDENTIFIER": "ignition",
            **fields,
        }
    )
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(record, str(address))
    except OSError:
        return
