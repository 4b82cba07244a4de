"""Rules for paths: of nodes, devices and mount points."""

from __future__ import annotations

import posixpath
import re

from nestos.ignition.spec.schema import Place, Rule, Value


def cleaned(path: str) -> str:
    """``path`` in its shortest form, as Go's ``path.Clean``: that, unlike POSIX, gives two leading slashes no meaning.

    >>> cleaned("//a/../b/")
    '/b'
    """
    return posixpath.normpath(re.sub("^/+", "/", path)) if path else "."


def path_problem(path: str) -> str:
    """Why ``path`` is not an absolute path in its shortest form; empty where it is one."""
    if not path:
        return "path not specified"
    if not path.startswith("/"):
        return "path not absolute"
    if "\0" in path:
        return "path contains a null character"
    return "" if cleaned(path) == path else "path is not fully simplified"


def absolute(name: str) -> Rule:
    """The rule that field ``name`` is a good path."""

    def rule(value: Value, place: Place) -> None:
        problem = path_problem(value.get(name, ""))
        if problem:
            place.error(problem, name)

    return rule


def depth(path: str) -> int:
    """How many elements ``path`` has."""
    return len([part for part in path.split("/") if part])
