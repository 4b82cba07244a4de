"""Keys of the release metadata: Ed25519, one file a private key, in a folder that only its owner reads.

``KEYS/ROLE/KEYID.pem`` (PKCS#8, not encrypted: what guards it is where it is). The keys of ``root`` are to be carried
away after ``init`` and to be shown again (``--root-keys``) to rotate. Needs python-tuf's signature library.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner, Key, Signer, SSlibKey

from nestos.base import durable
from nestos.base.errors import StateError


class KeyFolder:
    """Private keys below one or more folders."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders

    def make(self, role: str) -> SSlibKey:
        """A new key, kept in the first folder; its public half."""
        signer = CryptoSigner.generate_ed25519()
        folder = self._folders[0] / role
        for path in (self._folders[0], folder):
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o700)
        key = signer.public_key
        if not isinstance(key, SSlibKey):
            raise StateError("the signature library made a key of an unknown kind")
        durable.write(folder / f"{key.keyid}.pem", signer.private_bytes, mode=0o600)
        return key

    def signer(self, key: Key) -> Signer | None:
        """What signs with ``key``, or none where its private half is not in these folders."""
        if not isinstance(key, SSlibKey):
            return None
        for folder in self._folders:
            for path in folder.glob(f"*/{key.keyid}.pem"):
                return CryptoSigner(load_pem_private_key(path.read_bytes(), None), key)
        return None
