"""Files that a config embeds by name. Nothing outside the folder that the caller allowed is named by a config."""

from __future__ import annotations

import os
from pathlib import Path

from nestos.base.errors import InputError

NO_FILES_DIR = "local file paths are relative to a files directory that must be specified with -d/--files-dir"
OUTSIDE = "local file path traverses outside the files directory"


class LocalFileError(InputError):
    """A local file cannot be embedded."""


class LocalFiles:
    """The folder given with ``--files-dir``; None allows nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @property
    def are_allowed(self) -> bool:
        """Whether there is such a folder at all."""
        return self._folder is not None

    def locate(self, name: str) -> Path:
        """The path of ``name``, which is relative to the folder even with a leading slash.

        The check is lexical, as in the original: a symbolic link within the folder was put there by its owner
        and may point anywhere.
        """
        if self._folder is None:
            raise LocalFileError(NO_FILES_DIR)
        base = os.path.abspath(self._folder)  # noqa: PTH100 - Path.resolve would follow links
        path = os.path.normpath(f"{base}/{name}")
        if path != base and not path.startswith(base.rstrip("/") + "/"):
            raise LocalFileError(OUTSIDE)
        return Path(path)

    def read(self, name: str) -> bytes:
        """The content of the file ``name``. Raises ``LocalFileError``, in the words of the original."""
        path = self.locate(name)
        shown = self.shown(name)
        try:
            if path.is_dir():
                raise LocalFileError(f"read {shown}: is a directory")
            if path.exists() and not path.is_file():
                raise LocalFileError(f"read {shown}: not a regular file")
            return path.read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a null byte in the name
            raise LocalFileError(f"open {shown}: {reason(error)}") from error

    def read_text(self, name: str) -> str:
        """The content of the file ``name`` as text; what is not UTF-8 becomes U+FFFD. Raises ``LocalFileError``."""
        return self.read(name).decode(errors="replace")

    def shown(self, name: str) -> str:
        """``name`` as a message shows it: with the folder as it was given."""
        return os.path.normpath(f"{self._folder}/{name}")


def reason(error: OSError | ValueError) -> str:
    """Why a file could not be read, without its path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return "invalid argument" if isinstance(error, ValueError) else str(error)
