"""The Ignition config of the installed system: compared with its hash and validated before a disk is touched."""

from __future__ import annotations

import hashlib

from nestos.base.errors import InputError, VerificationError
from nestos.ignition.spec.parse import parse
from nestos.installer.fetch import Fetcher
from nestos.installer.options import Settings

_HINT = "nothing was written; nestos ignition-validate tells the same beforehand"


def obtained(settings: Settings, *, fetcher: Fetcher) -> bytes:
    """The config, or nothing where none is asked for.

    Raises ``InputError`` with every finding where it cannot be used, ``VerificationError`` where its hash differs.
    """
    if settings.ignition_file is not None:
        source = str(settings.ignition_file)
        try:
            data = settings.ignition_file.read_bytes()
        except OSError as error:
            raise InputError(f"cannot read {source}: {error.strerror}") from error
    elif settings.ignition_url:
        source = settings.ignition_url
        try:
            data = fetcher.read(source)
        except FileNotFoundError as error:
            raise InputError(f"no Ignition config is at {source}: {error}") from error
    else:
        return b""
    check_hash(data, settings.ignition_hash, source=source)
    validate(data, source=source)
    return data


def check_hash(data: bytes, wanted: str, *, source: str) -> None:
    """Raises ``VerificationError`` unless ``data`` has the digest ``wanted`` (``sha256-HEX``; empty: any)."""
    if not wanted:
        return
    kind, _, digest = wanted.partition("-")
    found = hashlib.new(kind, data).hexdigest()
    if found != digest:
        raise VerificationError(f"{source} has the {kind} {found}, and --ignition-hash says {digest}", hint=_HINT)


def validate(data: bytes, *, source: str) -> None:
    """Raises ``InputError`` with every finding where ``data`` is no config that the first boot would accept."""
    parsed = parse(data, source=source)
    if parsed.config is None or parsed.report.is_fatal:
        raise InputError(f"the Ignition config cannot be used:\n{parsed.report}", hint=_HINT)
