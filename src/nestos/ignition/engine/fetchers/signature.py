"""Requests signed as Amazon's services want them: AWS Signature Version 4, for S3.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

_ALGORITHM = "AWS4-HMAC-SHA256"
_EMPTY = sha256(b"").hexdigest()


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Who signs. ``token``: of a role, whose keys are short-lived."""

    key_id: str
    secret: str
    token: str = ""


def _keyed(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def signed_headers(
    credentials: Credentials,
    *,
    host: str,
    path: str,
    query: str,
    region: str,
    now: datetime,
    headers: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The headers of a signed GET of ``path`` with ``query``, both already escaped; ``headers`` are signed too."""
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    given = {**(headers or {}), "x-amz-content-sha256": _EMPTY, "x-amz-date": moment}
    if credentials.token:
        given["x-amz-security-token"] = credentials.token
    lines = sorted((name.lower(), value.strip()) for name, value in {**given, "host": host}.items())
    names = ";".join(name for name, _ in lines)
    words = sorted(word if "=" in word else f"{word}=" for word in query.split("&") if word)
    canonical = ["GET", path, "&".join(words), *(f"{name}:{value}" for name, value in lines), "", names, _EMPTY]
    digest = sha256("\n".join(canonical).encode()).hexdigest()
    key = f"AWS4{credentials.secret}".encode()
    for part in scope.split("/"):
        key = _keyed(key, part)
    signature = _keyed(key, "\n".join((_ALGORITHM, moment, scope, digest))).hex()
    given["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.key_id}/{scope},SignedHeaders={names},Signature={signature}"
    )
    return given
