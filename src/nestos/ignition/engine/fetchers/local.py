"""Contents of a file of the machine itself. Only the kernel command line may name one: configs must not."""

from __future__ import annotations

from nestos.ignition.engine.fetchers.address import plain
from nestos.ignition.engine.transport import FetchError, NotFoundError, Sink, Transport

_SCHEME = "file:"
_CHUNK_BYTES = 1 << 16


def fetch(url: str, *, sink: Sink, transport: Transport) -> None:
    """Writes what is in the file that ``url`` names by an absolute path."""
    path = plain(url[len(_SCHEME) :])
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        if host not in ("", "localhost"):
            raise FetchError(f"not a file of this machine: {url}")
        path = slash + rest
    if not path.startswith("/"):
        raise FetchError(f"path is not absolute: {url}")
    try:
        with transport.machine.at(path).open("rb") as file:
            while data := file.read(_CHUNK_BYTES):
                sink.write(data)
    except FileNotFoundError as error:
        raise NotFoundError(f"resource not found: {path}") from error
    except OSError as error:
        raise FetchError(f"failed to fetch resource: {path}: {error.strerror}") from error
