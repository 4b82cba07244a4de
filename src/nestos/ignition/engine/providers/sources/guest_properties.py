"""Guest properties of VirtualBox: values that the host keeps for a guest, reached through /dev/vboxguest.

The calls are those of <linux/vboxguest.h>. A parameter that is a buffer is handed over by its address, so the buffers
are arrays, which know theirs.
"""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Iterator
from contextlib import contextmanager

from nestos.ignition.engine.job import Job
from nestos.ignition.engine.transport import FetchError

DEVICE = "/dev/vboxguest"
SERVICE = b"VBoxGuestPropSvc"
GET, DELETE = 1, 4

_HEADER = struct.Struct("=IIIiII")  # size in, version, type, outcome, size out, reserved
_HEADER_VERSION = 0x10001
_PROTOCOL = 0x10000
_EXISTING_SERVICE = 2
_SERVICE_BYTES = 128
_CALL = struct.Struct("=IIIBBH")  # client, function, time limit, interruptible, reserved, number of parameters
_PARAMETER = struct.Struct("=IIQ")  # type, size, address
_FOR_EVER = 0xFFFFFFFF
_NUMBER_32, _NUMBER_64, _BUFFER, _BUFFER_IN = 1, 2, 4, 5
_SUCCESS, _PERMISSION_DENIED, _BUFFER_OVERFLOW, _NOT_FOUND = 0, -10, -41, -78


def request_number(number: int, size: int) -> int:
    """The number of a request that reads and writes ``size`` bytes, as _IOWR makes it."""
    return 3 << 30 | size << 16 | ord("V") << 8 | number


class _Session:
    """An open device."""

    def __init__(self, job: Job, file: int) -> None:
        self._job = job
        self._file = file
        self._client = 0

    def _send(self, number: int, payload: bytes, *, size_out: int, exact: bool = True) -> tuple[int, bytes]:
        """Sends one request; its outcome, and what stands behind the header afterwards."""
        size = _HEADER.size + max(len(payload), size_out)
        head = _HEADER.pack(_HEADER.size + len(payload), _HEADER_VERSION, 0, 0, _HEADER.size + size_out, 0)
        message = bytearray((head + payload).ljust(size, b"\0"))
        self._job.machine.control(self._file, request_number(number, size), message)
        outcome = _HEADER.unpack_from(message)[3]
        if exact and outcome != _SUCCESS:
            raise FetchError(f"VirtualBox guest properties: error {outcome}")
        return outcome, bytes(message[_HEADER.size :])

    def open(self) -> None:
        """Agrees on the protocol and connects to the service."""
        self._send(0, struct.pack("=IIII", _PROTOCOL, _PROTOCOL, 0, 0), size_out=20)
        location = struct.pack("=I", _EXISTING_SERVICE) + SERVICE.ljust(_SERVICE_BYTES, b"\0")
        _, answer = self._send(4, location, size_out=len(location))
        self._client = int.from_bytes(answer[:4], "little")

    def close(self) -> None:
        """Ends the connection to the service."""
        self._send(5, struct.pack("=I", self._client), size_out=0)

    def call(self, function: int, parameters: list[bytes]) -> tuple[int, list[bytes]]:
        """Calls the service; its outcome, and the parameters afterwards."""
        head = _CALL.pack(self._client, function, _FOR_EVER, 1, 0, len(parameters))
        payload = head + b"".join(parameters)
        outcome, answer = self._send(7, payload, size_out=len(payload), exact=False)
        size = _PARAMETER.size
        rest = answer[_CALL.size :]
        return outcome, [rest[index * size : (index + 1) * size] for index in range(len(parameters))]


@contextmanager
def _session(job: Job) -> Iterator[_Session]:
    try:
        file = os.open(job.machine.at(DEVICE), os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise FetchError(f"VirtualBox guest properties: {DEVICE}: {error.strerror}") from error
    try:
        session = _Session(job, file)
        session.open()
        try:
            yield session
        finally:
            session.close()
    except OSError as error:
        raise FetchError(f"VirtualBox guest properties: {error.strerror or error}") from error
    finally:
        os.close(file)


def _buffer(data: array[int], kind: int) -> bytes:
    address, length = data.buffer_info()
    return _PARAMETER.pack(kind, length, address)


def property_value(job: Job, name: str) -> bytes | None:
    """The value of the property ``name``; none if there is none. Raises ``FetchError``."""
    key = array("B", name.encode() + b"\0")
    room = array("B", b"\0")
    with _session(job) as session:
        while True:
            parameters = [
                _buffer(key, _BUFFER_IN),
                _buffer(room, _BUFFER),
                _PARAMETER.pack(_NUMBER_64, 0, 0),
                _PARAMETER.pack(_NUMBER_32, 0, 0),
            ]
            outcome, answered = session.call(GET, parameters)
            if outcome == _NOT_FOUND:
                return None
            size = _PARAMETER.unpack(answered[3])[1]
            if outcome == _BUFFER_OVERFLOW or (outcome == _SUCCESS and size > len(room)):
                room = array("B", bytes(size))
                continue
            if outcome != _SUCCESS:
                raise FetchError(f'fetching VirtualBox guest property "{name}": error {outcome}')
            break
    value, end, _ = room.tobytes().partition(b"\0")  # behind it are flags
    if not end:
        raise FetchError(f'VirtualBox guest property "{name}" is not NUL-terminated')
    return value


def delete_property(job: Job, name: str) -> None:
    """Deletes the property ``name``. Raises ``FetchError``."""
    key = array("B", name.encode() + b"\0")
    with _session(job) as session:
        outcome, _ = session.call(DELETE, [_buffer(key, _BUFFER_IN)])
    if outcome == _PERMISSION_DENIED:
        raise FetchError(f'deleting VirtualBox guest property "{name}": permission denied; is the property read-only?')
    if outcome != _SUCCESS:
        raise FetchError(f'deleting VirtualBox guest property "{name}": error {outcome}')
