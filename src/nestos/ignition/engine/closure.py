"""Which files the engine needs to run, so that exactly these go into the initramfs.

Run by the dracut module in the tree that the initramfs is made for:

    python3 -m nestos.ignition.engine.closure              prints every file
    python3 -m nestos.ignition.engine.closure --into=DIR   puts the programs and their modules, compiled, below DIR, and
                                                           prints what is left to install: interpreter and libraries

Compiled modules stand in the place of their sources (``x.pyc`` for ``x.py``), are not checked against them and so
cannot be recompiled at boot: in the initramfs time stamps do not hold, and compiling takes longer than running.
"""

from __future__ import annotations

import importlib
import os
import py_compile
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

import nestos
from nestos.ignition.engine import parts
from nestos.ignition.engine.machine import PROCESS

_PROGRAM_MODE = 0o755

PROGRAMS = {
    "/usr/bin/ignition": "nestos.cli.ignition",
    "/usr/bin/ignition-kargs-helper": "nestos.cli.ignition_kargs_helper",
    "/usr/libexec/nestos-live-fetch": "nestos.cli.live_fetch",
}
"""Where a program goes, and the module with its ``program()``."""

LATE = (
    "encodings.idna",  # getaddrinfo(3) is given host names in this encoding
    "encodings.ascii",
    "encodings.latin_1",  # HTTP headers
    "traceback",  # an error of ours should be readable
    "difflib",  # the nearest known word to an unknown key
    "datetime",
    "nestos.ignition.engine.startup",
    PROCESS,
)
"""Modules that are imported only when it comes to that."""

_ONLY_HERE = frozenset({"__main__", "runpy", "py_compile", "site", "sitecustomize", "usercustomize", "_sitebuiltins"})


def modules() -> list[Path]:
    """The files of all modules that the engine can load, by importing every one of them."""
    for name in (*PROGRAMS.values(), *parts.all_parts(), *LATE):
        importlib.import_module(name)
    homes = (Path(os.__file__).parent, Path(nestos.__file__).parent)
    found = {Path(os.__file__)}  # by it the interpreter finds its library
    for name, module in list(sys.modules.items()):
        if name not in _ONLY_HERE and name != __name__ and getattr(module, "__file__", None):
            found.add(Path(str(module.__file__)))
    return sorted(path for path in found if any(path.is_relative_to(home) for home in homes))


def files() -> list[Path]:
    """All files: the interpreter under both its names, modules, extension libraries."""
    return [*_interpreter(), *modules()]


def _interpreter() -> list[Path]:
    executable = Path(getattr(sys, "_base_executable", sys.executable))
    return sorted({executable, executable.resolve()})


_PROGRAM = """\
#!{interpreter} -IS
import os
import sys

sys.path.append({package!r})

from nestos.ignition.engine.startup import lighten

lighten()

from {module} import program

code = program()
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)  # taking down the interpreter in order would take longer than some stages do
"""


def program_text(module: str, *, interpreter: Path, package: Path) -> str:
    """The program that ``module`` has.

    A stage runs for milliseconds, so what the interpreter does around it counts: here it does not search for site
    packages, of which there is one folder, nor load what nobody asks for.
    """
    return _PROGRAM.format(module=module, interpreter=interpreter, package=str(package))


def put_into(folder: Path) -> list[Path]:
    """Writes the programs and the compiled modules below ``folder``; returns the files that are left to install."""
    left = _interpreter()
    for path in modules():
        if path.suffix != ".py":
            left.append(path)
            continue
        target = folder.joinpath(*path.parts[1:]).with_suffix(".pyc")
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(path), cfile=str(target), dfile=str(path), doraise=True, invalidation_mode=mode)
    package = Path(nestos.__file__).parents[1]
    for place, module in PROGRAMS.items():
        program = folder.joinpath(*Path(place).parts[1:])
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(program_text(module, interpreter=_interpreter()[0], package=package))
        program.chmod(_PROGRAM_MODE)
    return left


def main(arguments: Sequence[str], output: TextIO) -> None:
    """Prints files, one a line."""
    into = [word.removeprefix("--into=") for word in arguments if word.startswith("--into=")]
    listed: Iterable[Path] = put_into(Path(into[-1])) if into else files()
    output.writelines(f"{path}\n" for path in listed)


if __name__ == "__main__":
    main(sys.argv[1:], sys.stdout)
