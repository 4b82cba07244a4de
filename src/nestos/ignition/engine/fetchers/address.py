"""URLs taken apart for those who fetch: RFC 3986, with zones of IPv6 addresses (RFC 6874).

The standard library's way brings in far more than these few lines need.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nestos.ignition.engine.transport import FetchError, shown
from nestos.ignition.spec.dataurl import unescaped

_PARTS = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)
_AUTHORITY = re.compile(r"(?:(.*)@)?(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]*))?", re.DOTALL)
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_IN_PATH = _PLAIN | frozenset(b"!$&'()*+,;=:@/%")
_IN_QUERY = _IN_PATH | frozenset(b'?[]{}|"^`\\')
_LONGEST_LABEL = 63
_PORTS = {"http": 80, "https": 443, "tftp": 69}


@dataclass(frozen=True, kw_only=True)
class Address:
    """A URL's parts. ``host``: without brackets, with a zone behind ``%``. ``path``, ``query``: as they are sent."""

    scheme: str
    user: str = ""
    password: str = ""
    host: str = ""
    port: int = 0
    path: str = ""
    query: str = ""

    @property
    def target(self) -> str:
        """Path and query, as in the first line of a request."""
        return (self.path or "/") + (f"?{self.query}" if self.query else "")

    @property
    def authority(self) -> str:
        """Host and port as others see them: no zone, which means something on this machine only."""
        host = self.host.partition("%")[0]
        host = f"[{host}]" if ":" in host else host
        return host if self.port == _PORTS.get(self.scheme) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole, without user, password and zone."""
        return f"{self.scheme}://{self.authority}{self.target}"


def escaped(text: str, allowed: frozenset[int] = _PLAIN) -> str:
    """``text`` in UTF-8 with every byte that is not ``allowed`` as ``%XX``."""
    return "".join(chr(byte) if byte in allowed else f"%{byte:02X}" for byte in text.encode())


def plain(text: str) -> str:
    """``text`` with every ``%XX`` replaced."""
    return unescaped(text).decode("utf-8", "replace")


def take_apart(url: str) -> Address:
    """The parts of ``url``, which has a host. Raises ``FetchError`` for one that has none."""
    whole = _PARTS.fullmatch(url)
    authority = _AUTHORITY.fullmatch(whole[2]) if whole and whole[2] else None
    if whole is None or authority is None or not whole[1] or not authority[2].strip("[]"):
        raise FetchError(f"not a URL of something to fetch: {shown(url)}")
    scheme = whole[1].lower()
    user, _, password = (authority[1] or "").partition(":")
    host = plain(authority[2].strip("[]"))
    try:
        host = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError as error:
        raise FetchError(f"not the name of a host: {shown(url)}: {error}") from error
    if max(map(len, host.split("."))) > _LONGEST_LABEL:
        raise FetchError(f"not the name of a host: {shown(url)}")
    return Address(
        scheme=scheme,
        user=plain(user),
        password=plain(password),
        host=host,
        port=int(authority[3] or _PORTS.get(scheme, 0)),
        path=escaped(whole[3], _IN_PATH),
        query=escaped(whole[4] or "", _IN_QUERY),
    )


def joined(base: Address, reference: str) -> str:
    """The URL that ``reference``, found at ``base``, stands for: RFC 3986, section 5.2."""
    found = _PARTS.fullmatch(reference)
    if found is None:
        raise FetchError(f"not a URL: {shown(reference)}")
    scheme, authority, path, query = found[1], found[2], found[3], found[4]
    if scheme:
        return reference
    if authority is not None:
        return f"{base.scheme}:{reference}"
    host = f"[{base.host.replace('%', '%25')}]" if ":" in base.host else base.host
    if not path:
        query = base.query if query is None else query
        path = base.path
    elif not path.startswith("/"):
        path = _merged(base.path.rpartition("/")[0] + "/", path)
    else:
        path = _merged("/", path)
    return f"{base.scheme}://{host}:{base.port}{path}" + (f"?{query}" if query else "")


def _merged(folder: str, path: str) -> str:
    """``path`` below ``folder`` without ``.`` and ``..``."""
    result: list[str] = []
    parts = (folder + path).split("/") if not path.startswith("/") else path.split("/")
    for part in parts[1:]:
        if part == "..":
            result = result[:-1]
        elif part != ".":
            result.append(part)
    slash = "/" if parts[-1] in (".", "..") else ""
    return "/" + "/".join(result) + (slash if result else "")
