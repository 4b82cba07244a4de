"""What planning finds out and decides: problems, and steps that are run only if there are none.

Planning reads. Whatever can be known before the first write is known before it: devices that are there, what is on
them, programs, keys. Where a device comes into being only by an earlier step, a step decides when its turn comes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nestos.base.errors import NestosError
from nestos.host.process import Completed, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nestos.ignition.engine.job import Job

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

PACKAGES = {
    "blkid": "util-linux",
    "clevis": "clevis-luks",
    "cryptsetup": "cryptsetup-bin",
    "mdadm": "mdadm",
    "mkfs.btrfs": "btrfs-progs",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.fat": "dosfstools",
    "mkfs.xfs": "xfsprogs",
    "mkswap": "util-linux",
    "partx": "util-linux",
    "sgdisk": "gdisk",
    "wipefs": "util-linux",
    "zkey": "s390-tools",
    "zkey-cryptsetup": "s390-tools",
}
"""Program to the Debian package that has it."""


class StorageError(NestosError):
    """Something about disks cannot be as the config says; the sentence names keys and devices."""

    kind = "storage"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One change: what it is, in sentences for people, and the doing of it."""

    sentences: tuple[str, ...]
    act: Callable[[], None]


@dataclass(kw_only=True)
class Survey:
    """A plan in the making.

    ``rewritten``: devices, by their real paths, whose content or partition table an earlier step changes, and
    ``new_names``: True once links below /dev/disk may come to mean something else.
    """

    job: Job
    steps: list[Step] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    rewritten: set[Path] = field(default_factory=set)
    new_names: bool = False

    def problem(self, key: str, device: object, found: str, *, hint: str) -> None:
        """Notes why the config cannot be carried out: where it says so, what was found, and what to do."""
        self.problems.append(sentence(key, device, found, hint=hint))

    def step(self, *sentences: str, act: Callable[[], None]) -> None:
        """Adds what is to be done."""
        self.steps.append(Step(sentences=sentences, act=act))

    @contextmanager
    def noting(self, key: str, device: object) -> Iterator[None]:
        """Takes a failure of the block for a problem, so that others can be told with it."""
        try:
            yield
        except StorageError as error:
            self.problems.append(str(error))
        except NestosError as error:
            hint = f"; {error.hint}" if error.hint else ""
            self.problems.append(f"{key} ({device}): {error}{hint}")

    def need(self, program: str, key: str) -> None:
        """Notes a problem unless ``program`` is there."""
        if find_program(self.job.machine.environment.get("PATH", ""), program):
            return
        package = PACKAGES.get(program)
        hint = f"; it is in Debian's package {package}" if package else ""
        text = f"{key}: the program {program} is missing from this system{hint}"
        if text not in self.problems:
            self.problems.append(text)

    def raise_problems(self) -> None:
        """Raises ``StorageError`` with all problems, if there are any."""
        if len(self.problems) == 1:
            raise StorageError(self.problems[0], hint=_UNTOUCHED)
        if self.problems:
            listed = "\n".join(f"- {problem}" for problem in self.problems)
            raise StorageError(f"{len(self.problems)} problems:\n{listed}", hint=_UNTOUCHED)


_UNTOUCHED = "nothing was written to any disk"


def sentence(key: str, device: object, found: str, *, hint: str) -> str:
    """The form in which problems are told."""
    return f"{key} ({device}): {found}; {hint}"


def find_program(path: str, name: str) -> Path | None:
    """Where ``name`` is in the folders of ``path``."""
    for folder in (path or _DEFAULT_PATH).split(":"):
        candidate = Path(folder, name)
        if folder and candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    return None


def execute(
    job: Job,
    command: Sequence[str | os.PathLike[str]],
    *,
    accepted: Sequence[int] = (0,),
    secrets: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Completed:
    """Runs a program and leaves its command line in the log."""
    job.log.debug(f"executing: {printable(command, secrets=secrets)}")
    return job.machine.runner(command, accepted=accepted, secrets=secrets, environment=environment)
