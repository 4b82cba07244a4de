"""Programs of another architecture, run by an emulator that the kernel starts by itself (binfmt_misc).

The kernel's documentation (admin-guide/binfmt-misc) gives the form of an entry. The flag ``F`` opens the emulator when
the entry is made, so that it need not be there in the roots that the programs are run in. An entry is for the whole
machine: ours goes away when it is no longer needed, and one that is there already is used as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nestos.base.errors import CommandError, InputError, StateError
from nestos.host import process
from nestos.host.process import Runner

FOLDER = Path("/proc/sys/fs/binfmt_misc")

# The first 20 bytes of an ELF program: 64 bit, little endian, any of two system words, program or shared, the machine.
_MAGIC = {"aarch64": "7f454c460201010000000000000000000200b700"}
_MASK = "ffffffffffffff00fffffffffffffffffeffffff"


@contextmanager
def emulated(
    architecture: str, *, emulator: Path, folder: Path = FOLDER, runner: Runner = process.run
) -> Iterator[None]:
    """Within it, programs for ``architecture`` run; ``emulator`` is a program without libraries of its own.

    Raises ``InputError`` for an architecture nobody emulates here, ``StateError`` where the kernel takes no entry.
    """
    magic = _MAGIC.get(architecture)
    if magic is None:
        raise InputError(f"no programs for {architecture} can be run here; emulated are: {', '.join(_MAGIC)}")
    if not (folder / "register").exists():
        _mount(folder, runner=runner)
    if any(_serves(entry, magic=magic) for entry in folder.iterdir()):
        yield
        return
    entry = folder / f"nestos-{architecture}"
    if entry.exists():  # of a compose that was killed: whether its emulator is still the right one, nobody knows
        entry.write_text("-1")
    line = f":{entry.name}:M::{_escaped(magic)}:{_escaped(_MASK)}:{emulator}:F"
    try:
        (folder / "register").write_text(line)
    except OSError as error:
        raise StateError(
            f"the kernel does not take {emulator} as emulator of {architecture}: {error.strerror}"
        ) from error
    try:
        yield
    finally:
        entry.write_text("-1")


def _mount(folder: Path, *, runner: Runner) -> None:
    try:
        runner(["mount", "-t", "binfmt_misc", "binfmt_misc", folder])
    except CommandError as error:
        raise StateError(
            f"programs of another architecture cannot be run: {folder} cannot be mounted",
            hint="the kernel needs binfmt_misc; or compose on a machine of that architecture",
        ) from error


def _serves(entry: Path, *, magic: str) -> bool:
    """Whether an entry of somebody else's runs these programs in any root."""
    if entry.name in ("register", "status") or entry.name.startswith("nestos-"):
        return False
    text = entry.read_text()
    flags = re.search(r"^flags: (.*)$", text, flags=re.MULTILINE)
    return text.startswith("enabled") and f"magic {magic}" in text and flags is not None and "F" in flags[1]


def _escaped(digits: str) -> str:
    return "".join(rf"\x{digits[place : place + 2]}" for place in range(0, len(digits), 2))
