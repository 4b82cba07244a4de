"""The key that signs commits and summaries.

A key made here belongs to whoever composes; its public half goes into the tree, so that nodes accept only what this
builder signs. A release team brings its own key by naming it in the manifest (``gpg-key``) with a GnuPG home.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nestos.base.errors import InputError
from nestos.host.process import Runner

_OWNER = "NestOS local build"


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """A secret key in a GnuPG home, by its fingerprint, and a file with its public half."""

    home: Path
    fingerprint: str
    public: Path


def ensure(home: Path, *, runner: Runner, wanted: str = "") -> SigningKey:
    """The key ``wanted`` (any form that gpg takes) of the GnuPG home, or one made there on first use.

    Raises ``InputError`` if ``wanted`` has no secret key there.
    """
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    gpg = ["gpg", f"--homedir={home}", "--batch", "--quiet"]
    listing = [*gpg, "--list-secret-keys", "--with-colons"]
    # gpg ends with 2 where there is no such key.
    found = _fingerprints(runner([*listing, *([wanted] if wanted else [])], accepted=(0, 2)).stdout)
    if not found and wanted:
        raise InputError(
            f"gpg-key: there is no secret key {wanted!r} in {home}",
            hint=f"import it: gpg --homedir={home} --import FILE; without gpg-key in the manifest one is made",
        )
    if not found:
        runner([*gpg, "--passphrase=", "--quick-generate-key", _OWNER, "ed25519", "sign", "never"])
        found = _fingerprints(runner(listing).stdout)
    public = home / f"{found[0]}.gpg"
    if not public.exists():
        partial = public.with_suffix(".part")
        runner([*gpg, "--yes", f"--output={partial}", "--export-options=export-minimal", "--export", found[0]])
        partial.rename(public)
    return SigningKey(home=home, fingerprint=found[0], public=public)


def _fingerprints(listing: str) -> list[str]:
    return [line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:")]
