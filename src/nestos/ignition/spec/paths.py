"""Paths as text: what a config may call one, and how it is put together."""

from __future__ import annotations

import posixpath


def cleaned(path: str) -> str:
    """``path`` in its shortest form, as Go's ``path.Clean``: that, unlike POSIX, gives two leading slashes no meaning.

    >>> cleaned("//a/../b/")
    '/b'
    """
    return posixpath.normpath(f"/{path.lstrip('/')}" if path.startswith("/") else path) if path else "."


def path_problem(path: str) -> str:
    """Why ``path`` is not an absolute path in its shortest form; empty where it is one."""
    if not path:
        return "path not specified"
    if not path.startswith("/"):
        return "path not absolute"
    return "" if cleaned(path) == path else "path is not fully simplified"


def joined(path: str, target: str) -> str:
    """``target`` as seen from ``path``: absolute as it is, relative below it, in its shortest form."""
    parts = [target] if target.startswith("/") else [part for part in (path, target) if part]
    return cleaned("/".join(parts)) if parts else ""


def depth(path: str) -> int:
    """How many elements ``path`` has."""
    return len([part for part in path.split("/") if part])
