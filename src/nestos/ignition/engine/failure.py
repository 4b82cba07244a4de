"""What is shown when a stage failed: the whole config, for whoever sits at the console, without what is secret.

A secret is what not everyone on the finished system may read: password hashes, key files, credentials in URLs and
headers, and the contents of files that others may not read, by their own mode or that of a directory above them, or
whose name says that they are secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from nestos.ignition.engine.transport import shown

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Config

HIDDEN = "(hidden)"
_OTHERS_READ = 0o004
_OTHERS_PASS = 0o001
_CLOSED = ("/root/", "/var/roothome/")
"""Directories of every system that others may not enter."""
_ORDINARY_MODE = 0o644
_SECRET_NAME = re.compile(
    r"key|secret|token|passw|credential|shadow|\.pem$|\.p12$|id_(rsa|ecdsa|ed25519)", re.IGNORECASE
)


def masked(config: Config) -> Config:
    """A copy of ``config`` to be shown."""
    folders = config.get("storage", {}).get("directories", [])
    closed = tuple(f"{entry['path']}/" for entry in folders if not entry.get("mode", _OTHERS_PASS) & _OTHERS_PASS)
    return cast("Config", _walk(cast(Any, config), (), closed=(*_CLOSED, *closed)))


def _walk(value: Any, path: tuple[str, ...], *, closed: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_walk(entry, path, closed=closed) for entry in value]
    if isinstance(value, dict):
        if path == ("storage", "files"):
            value = _file(value, closed=closed)
        return {name: _walk(inner, (*path, name), closed=closed) for name, inner in value.items()}
    hide = _HIDERS.get(path[-2:]) or _HIDERS.get(path[-1:])
    return hide(value) if hide and isinstance(value, str) else value


def _file(entry: Mapping[str, Any], *, closed: tuple[str, ...]) -> dict[str, Any]:
    """A file, its data left out where they are secret."""
    path = entry.get("path", "")
    is_open = entry.get("mode", _ORDINARY_MODE) & _OTHERS_READ and not path.startswith(closed)
    if is_open and not _SECRET_NAME.search(path):
        return dict(entry)
    hidden = dict(entry)
    if "contents" in entry:
        hidden["contents"] = _resource(entry["contents"])
    if "append" in entry:
        hidden["append"] = [_resource(part) for part in entry["append"]]
    return hidden


def _resource(resource: Mapping[str, Any]) -> dict[str, Any]:
    source = resource.get("source", "")
    is_data = source.lower().startswith("data:")
    return {**resource, "source": f"data:,{HIDDEN}"} if is_data and source else dict(resource)


def _url(text: str) -> str:
    """A URL without credentials; data stay."""
    return text if text.lower().startswith("data:") else shown(text)


def _whole(text: str) -> str:
    """A URL without credentials, and without data: a key, or a config that may have any secret in it."""
    return f"data:,{HIDDEN}" if text.lower().startswith("data:") else shown(text)


def _hidden(text: str) -> str:
    return HIDDEN if text else text


_HIDERS: Mapping[tuple[str, ...], Callable[[str], str]] = {
    ("passwordHash",): _hidden,
    ("custom", "config"): _hidden,
    ("httpHeaders", "value"): _hidden,
    ("keyFile", "source"): _whole,
    ("merge", "source"): _whole,
    ("replace", "source"): _whole,
    ("source",): _url,
    ("tang", "url"): _url,
    ("httpProxy",): _url,
    ("httpsProxy",): _url,
}
"""What becomes of strings, by the last names of their paths."""
