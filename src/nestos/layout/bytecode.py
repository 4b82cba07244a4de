"""Compiled Python that stays valid in a tree whose files all have the same time.

OSTree sets every modification time to 0; ordinary caches carry the source's time and would be compiled again at
every start, on a file system that cannot keep them. Unchecked hash-based caches (PEP 552) have no time in them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from nestos.host.process import Runner

# Parts of the standard library that nothing on a node imports.
_LEFT_OUT = ("ensurepip", "idlelib", "lib2to3", "pydoc_data", "tkinter", "turtledemo", "test", "unittest", "venv")

DEBIAN_PACKAGES = "usr/lib/python3/dist-packages"
"""Where Debian's interpreter looks for packages: one folder for all its versions."""


def packages_folder(tree: Path) -> str:
    """Where the tree's own interpreter looks for packages, as a path in the tree."""
    found = sorted(tree.glob("usr/lib/python3.*/site-packages"))
    if (tree / DEBIAN_PACKAGES).exists() or not found:
        return DEBIAN_PACKAGES
    return str(found[-1].relative_to(tree))


def compile_tree(tree: Path, *, inside: Runner) -> None:
    """Compiles the tree's standard library and packages with the tree's own interpreter."""
    # Red Hat's systems have the standard library in lib64 and packages without compiled parts in lib.
    libraries = [path for path in sorted(tree.glob("usr/lib*/python3*")) if path.is_dir() and not path.is_symlink()]
    for library in libraries:
        for cache in library.glob("**/__pycache__"):
            shutil.rmtree(cache)
        if library.name != "python3":
            for name in _LEFT_OUT:
                shutil.rmtree(library / name, ignore_errors=True)
    folders = [f"/{library.relative_to(tree)}" for library in libraries]
    if not folders:
        return
    command = ["python3", "-I", "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash"]
    inside([*command, *folders], environment={"PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "0"})
