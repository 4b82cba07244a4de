"""Microsoft Hyper-V: the config is a value of the data exchange service (KVP), or several, one behind the other.

The host sends all its values once at each boot, to whoever registers first. Normally that is hv_kvp_daemon, which keeps
them in files; since it comes too late, its files are written for it, readable by root only: they hold the config.
"""

from __future__ import annotations

import os
import select
import struct
from binascii import b2a_base64
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nestos.ignition.engine.job import Job
from nestos.ignition.engine.providers.sources.kernel import require_module
from nestos.ignition.engine.transport import FetchError, Transport
from nestos.ignition.spec.dataurl import decode

if TYPE_CHECKING:
    from nestos.ignition.spec.model import File

DEVICE = "/dev/vmbus/hv_kvp"
_DRIVER = "/sys/bus/vmbus/drivers/hv_utils"
_POOLS = range(5)
_HOST_POOL = 0
_POOL_FILE = "/var/lib/hyperv/.kvp_pool_{}"
_POOL_MODE = 0o600
_KEY = "ignition.config"

# <linux/hyperv.h>: struct hv_kvp_msg, of which a value is the part that matters here.
MESSAGE_BYTES = 7432
KEY_BYTES, VALUE_BYTES = 512, 2048
VALUE = struct.Struct(f"=BBHIII{KEY_BYTES}s{VALUE_BYTES}s")
SET, REGISTER = 1, 100
_OK, _FAILED = 0, 0x80004005
_SILENCE_SECONDS = 1.0

Values = Mapping[int, list[tuple[bytes, bytes]]]
"""Key and value pairs of each pool, as they came."""


class Messages(Protocol):
    """The kernel's side: whole messages, in and out."""

    def send(self, message: bytes) -> None:
        """Sends one message."""

    def receive(self) -> bytes | None:
        """The next message; none once there was none for a second."""


class KernelMessages:
    """The real thing."""

    def __init__(self, device: Path) -> None:
        self._file = os.open(device, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLIN)

    def send(self, message: bytes) -> None:
        os.write(self._file, message)

    def receive(self) -> bytes | None:
        while self._poll.poll(_SILENCE_SECONDS * 1000):
            try:
                return os.read(self._file, MESSAGE_BYTES)
            except BlockingIOError:
                continue
        return None

    def close(self) -> None:
        os.close(self._file)


def values_in(messages: Messages) -> Values:
    """All values that the host sends. Raises ``OSError``."""
    found: dict[int, list[tuple[bytes, bytes]]] = {pool: [] for pool in _POOLS}
    messages.send(bytes([REGISTER]).ljust(MESSAGE_BYTES, b"\0"))
    while (message := messages.receive()) is not None:
        operation, pool, _, _, key_size, value_size, key, value = VALUE.unpack_from(message)
        if operation == REGISTER:
            continue
        outcome = _FAILED
        if operation == SET:
            # Sizes count the zero byte at the end.
            found.setdefault(pool, []).append((key[: max(key_size - 1, 0)], value[: max(value_size - 1, 0)]))
            outcome = _OK
        messages.send(struct.pack("=I", outcome).ljust(MESSAGE_BYTES, b"\0"))
    return found


def config_in(values: Values) -> bytes | None:
    """The value of ``ignition.config``, or those of ``ignition.config.0`` and so on put together."""
    pool = dict(reversed(values.get(_HOST_POOL, [])))  # of equal keys the first counts
    if whole := pool.get(_KEY.encode()):
        return whole
    pieces: list[bytes] = []
    while (piece := pool.get(f"{_KEY}.{len(pieces)}".encode())) is not None:
        pieces.append(piece)
    return b"".join(pieces) or None


def pool_files(values: Values) -> list[File]:
    """The files of hv_kvp_daemon, as entries of a config."""
    files: list[File] = []
    for pool, pairs in sorted(values.items()):
        data = b"".join(key.ljust(KEY_BYTES, b"\0") + value.ljust(VALUE_BYTES, b"\0") for key, value in pairs)
        url = f"data:;base64,{b2a_base64(data, newline=False).decode()}"
        files.append(
            {
                "path": _POOL_FILE.format(pool),
                "overwrite": True,
                "contents": {"source": url},
                "mode": _POOL_MODE,
            }
        )
    return files


def pairs_in(data: bytes) -> list[tuple[bytes, bytes]]:
    """The pairs in the content of a pool's file."""
    size = KEY_BYTES + VALUE_BYTES
    records = [data[start : start + size] for start in range(0, len(data), size)]
    return [(record[:KEY_BYTES].rstrip(b"\0"), record[KEY_BYTES:].rstrip(b"\0")) for record in records]


def _received(job: Job) -> Values:
    """What the host sends now; where the daemon took it before us, what is in the daemon's files."""
    try:
        messages = KernelMessages(job.machine.at(DEVICE))
        try:
            return values_in(messages)
        finally:
            messages.close()
    except OSError as error:
        files = {pool: job.machine.at(_POOL_FILE.format(pool)) for pool in _POOLS}
        found = {pool: pairs_in(path.read_bytes()) for pool, path in files.items() if path.exists()}
        if not found:
            raise FetchError(f"reading key-value pairs: {error.strerror or error}") from error
        return found


def fetch_config(job: Job, *, transport: Transport) -> bytes | None:
    """The config among the host's values; the files that the daemon would have written go into the state.

    The stage fetch comes after fetch-offline, to which the host has sent everything: it finds it in the state.
    """
    del transport
    require_module(job, "hv_utils", shown_by=_DRIVER)
    values = _received(job)
    state = job.read_state()
    if not any(values.values()) and "providerOutputFiles" in state:
        contents = [file["contents"]["source"] for file in state["providerOutputFiles"]]
        return config_in({pool: pairs_in(decode(url)) for pool, url in enumerate(contents)})
    state["providerOutputFiles"] = pool_files(values)
    job.write_state(state)
    return config_in(values)
