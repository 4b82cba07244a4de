"""Detached OpenPGP signatures, checked while the signed bytes stream by: gpgv reads them from a pipe."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from nestos.base.errors import StateError, VerificationError
from nestos.host import process

SYSTEM_KEYS = Path("/usr/share/nestos/keys")
"""Folder of the keys that a system trusts: those of its builder."""


def trusted(extra: Sequence[Path] = (), *, folder: Path = SYSTEM_KEYS) -> tuple[Path, ...]:
    """The key files to trust. Raises ``StateError`` where there are none."""
    keys = (*sorted(folder.glob("*.gpg")), *extra)
    if not keys:
        raise StateError(
            f"there is no key to check signatures with in {folder}",
            hint="name one with --keyring=FILE, or accept unsigned images with --insecure",
        )
    return keys


class Verifier:
    """Checks one signature. Feed it every signed byte, then ask for the ``verdict``; leaving the block ends gpgv."""

    def __init__(self, signature: bytes, *, keys: Sequence[Path], what: str) -> None:
        self._what = what
        self._stack = ExitStack()
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nestos-signature-")))
            (folder / "image.sig").write_bytes(signature)
            for number, key in enumerate(keys):
                shutil.copyfile(key, folder / f"{number}.gpg")
            reader, self._writer = os.pipe()
            self._log = stack.enter_context((folder / "log").open("w+b"))
            rings = [f"--keyring={folder}/{number}.gpg" for number in range(len(keys))]
            try:
                self._gpgv = process.start(
                    ["gpgv", f"--homedir={folder}", *rings, folder / "image.sig", f"/dev/fd/{reader}"],
                    output=self._log,
                    pass_fds=(reader,),
                )
            except BaseException:
                os.close(self._writer)
                raise
            finally:
                os.close(reader)
            self._stack = stack.pop_all()

    def feed(self, data: bytes) -> None:
        """The next signed bytes."""
        # gpgv ends early on a signature that it cannot use; its status says so.
        with suppress(BrokenPipeError):
            view = memoryview(data)
            while view:
                view = view[os.write(self._writer, view) :]

    def verdict(self) -> str:
        """Who signed, when everything was fed. Raises ``VerificationError`` unless the signature is good."""
        self._end()
        status = self._gpgv.wait()
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip()
        if status != 0:
            raise VerificationError(
                f"the signature of {self._what} is not good: {said.splitlines()[-1] if said else f'status {status}'}",
                hint="the image was changed, or was signed by someone whose key this system does not have",
            )
        lines = [line.partition("from")[2].strip() for line in said.splitlines() if "ood signature from" in line]
        return lines[0] if lines else "a trusted key"

    def _end(self) -> None:
        if self._writer >= 0:
            os.close(self._writer)
            self._writer = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._gpgv.kill()
        self._gpgv.wait()
        self._stack.close()
