"""Who may talk to the admin address: tokens with a name and a role, kept as hashes in one file.

A token is 256 random bits, so that a plain hash of it is enough: there is nothing to guess. The file is read anew when
it has changed; a token that is taken away ends at once.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from nestos.base import durable
from nestos.base.errors import InputError, StateError

FILE = "tokens.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class Role(IntEnum):
    """What a token is good for; each includes the ones before."""

    READ = 1
    OPERATE = 2
    ADMIN = 3


@dataclass(frozen=True, kw_only=True)
class Token:
    """Whose it is, and what for. The secret itself is nowhere."""

    name: str
    role: Role


class Tokens:
    """The tokens in the file ``path``, which need not be there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._known: dict[str, Token] = {}

    def add(self, name: str, *, role: Role) -> str:
        """A new token; returned this once. Raises ``StateError`` if there is one of that name."""
        if not _NAME.fullmatch(name):
            raise InputError(f'"{name}" is not usable as the name of a token: letters, digits and . _ @ - only')
        known = self._read()
        if name in (token.name for token in known.values()):
            raise StateError(f"there is a token {name} already", hint=f"nestos updates token remove {name}")
        secret = secrets.token_urlsafe(32)
        self._write({**known, _hashed(secret): Token(name=name, role=role)})
        return secret

    def remove(self, name: str) -> None:
        """Ends a token. Raises ``InputError`` if there is none of that name."""
        known = self._read()
        kept = {key: token for key, token in known.items() if token.name != name}
        if len(kept) == len(known):
            raise InputError(f"there is no token {name}")
        self._write(kept)

    def all(self) -> list[Token]:
        """Every token, by name."""
        return sorted(self._read().values(), key=lambda token: token.name)

    def find(self, secret: str) -> Token | None:
        """The token whose secret this is."""
        return self._read().get(_hashed(secret))

    def by_name(self, name: str) -> Token | None:
        """The token of that name: for sessions, which end with it."""
        return next((token for token in self._read().values() if token.name == name), None)

    def _read(self) -> dict[str, Token]:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return {}
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._stamp:
            try:
                entries = json.loads(self._path.read_text())
                self._known = {one["hash"]: Token(name=one["name"], role=Role[one["role"].upper()]) for one in entries}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise StateError(f"{self._path} is not a file of tokens: {error}") from error
            self._stamp = stamp
        return dict(self._known)

    def _write(self, known: dict[str, Token]) -> None:
        entries = [{"name": one.name, "role": one.role.name.lower(), "hash": key} for key, one in known.items()]
        durable.write(self._path, (json.dumps(entries, indent=2) + "\n").encode(), mode=0o600)


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
