"""Contents that stand in the URL."""

from __future__ import annotations

from nestos.ignition.engine.transport import FetchError, Sink, Transport
from nestos.ignition.spec.dataurl import DataUrlError, decode


def fetch(url: str, *, sink: Sink, transport: Transport) -> None:
    """Writes the data in ``url``."""
    del transport
    try:
        data = decode(url)
    except DataUrlError as error:
        raise FetchError(str(error)) from error
    sink.write(data)
