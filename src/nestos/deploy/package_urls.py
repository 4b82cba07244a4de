"""A package file by its address."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.error import URLError
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

from nestos.base.errors import InputError, NetworkError
from nestos.host import space

_SECONDS = 60.0


def fetch(url: str, folder: Path) -> Path:
    """The file at ``url``, in ``folder``. What it is worth is for the operator to know who named it."""
    name = Path(unquote(urlsplit(url).path)).name
    if not name:
        raise InputError(f"{url} names no file")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    with space.watched(folder):
        try:
            with urlopen(url, timeout=_SECONDS) as answer, target.open("wb") as output:
                shutil.copyfileobj(answer, output)
        except (URLError, TimeoutError) as error:
            raise NetworkError(f"{url}: {getattr(error, 'reason', error)}") from error
    return target


def forget(folder: Path) -> None:
    """Removes what was fetched: the node keeps copies of its own."""
    shutil.rmtree(folder, ignore_errors=True)
