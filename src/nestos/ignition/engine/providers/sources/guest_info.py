"""VMware's guestinfo: values that the host keeps for a guest.

They are asked for with VMware's own programs where these are there. Where they are not, over vsock, which hosts
have spoken since ESXi 6.5: the packets are those of open-vm-tools (lib/dataMap, lib/rpcChannel). The older way, the
"backdoor" I/O port, takes a machine instruction that this language has no way to say, and is not used.
"""

from __future__ import annotations

import struct
from typing import Protocol

from nestos.base.errors import CommandError
from nestos.ignition.engine import parts
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.machine import Connection, Network
from nestos.ignition.engine.transport import FetchError

_PROGRAMS = (("vmware-rpctool",), ("vmtoolsd", "--cmd"))
_NOT_FOUND = 127
_HYPERVISOR = 0
_PORT = 976
_SECONDS = 30.0
_TYPE, _PAYLOAD, _FAST_CLOSE = 1, 2, 3
_INTEGER, _STRING = 1, 2


class GuestInfo(Protocol):
    """A way to the host's values."""

    def ask(self, command: str) -> tuple[bool, bytes]:
        """Whether the host could do ``command``, and what it says. Raises ``FetchError``."""


class ProgramChannel:
    """By one of VMware's programs."""

    def __init__(self, job: Job, program: tuple[str, ...]) -> None:
        self._run = job.machine.runner
        self._program = program

    def ask(self, command: str) -> tuple[bool, bytes]:
        value = command.partition(" ")[2].partition(" ")[2]
        try:
            done = self._run([*self._program, command], secrets=[value])
        except CommandError as error:
            if error.returncode == _NOT_FOUND:
                raise FetchError(f"there is no {self._program[0]}") from error
            if "No value found" not in error.output:
                raise FetchError(f"{self._program[0]}: {error.output or error}") from error
            return False, error.output.encode()
        return True, done.stdout.removesuffix("\n").encode()


class SocketChannel:
    """Over vsock."""

    def __init__(self, job: Job) -> None:
        self._network: Network = job.machine.network or parts.load(parts.NETWORK).SystemNetwork()

    def ask(self, command: str) -> tuple[bool, bytes]:
        try:
            connection = self._network.connect_context(_HYPERVISOR, _PORT, low_port=True)
            try:
                connection.settimeout(_SECONDS)
                connection.sendall(packet(command.encode()))
                size = struct.unpack("!I", _exactly(connection, 4))[0]
                answer = payload(_exactly(connection, size))
            finally:
                connection.close()
        except OSError as error:
            raise FetchError(f"the host does not answer over vsock: {error.strerror or error}") from error
        if answer[:2] not in (b"0 ", b"1 "):
            raise FetchError("the host's answer over vsock cannot be understood")
        return answer.startswith(b"1"), answer[2:]


def _exactly(connection: Connection, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise FetchError("the host broke off its answer")
        data += more
    return data


def packet(text: bytes) -> bytes:
    """A question; of an integer the lower half comes first."""
    fields = b"".join(struct.pack("!IIII", _INTEGER, field, 1, 0) for field in (_TYPE, _FAST_CLOSE))
    fields += struct.pack("!III", _STRING, _PAYLOAD, len(text)) + text
    return struct.pack("!I", len(fields)) + fields


def payload(fields: bytes) -> bytes:
    """The text in the fields of an answer."""
    while len(fields) >= 12:
        kind, field, size = struct.unpack_from("!III", fields)
        if kind == _STRING and field == _PAYLOAD:
            return fields[12 : 12 + size]
        fields = fields[16 if kind == _INTEGER else 12 + size :]
    raise FetchError("the host's answer over vsock has no text")


def guest_info(job: Job) -> GuestInfo:
    """The first way that leads to the host. Raises ``FetchError`` if none does."""
    problems = []
    ways: list[GuestInfo] = [ProgramChannel(job, program) for program in _PROGRAMS]
    for way in [*ways, SocketChannel(job)]:
        if isinstance(way, SocketChannel):
            _load_transport(job)
        try:
            way.ask("info-get guestinfo.ovfenv")
        except FetchError as error:
            problems.append(str(error))
        else:
            return way
    raise FetchError(
        f"config provider was not online: no way to VMware's guestinfo: {'; '.join(problems)}",
        hint="put vmware-rpctool of open-vm-tools into the initramfs, or run on ESXi 6.5 or newer",
    )


def _load_transport(job: Job) -> None:
    try:
        job.machine.runner(["modprobe", "vmw_vsock_vmci_transport"])
    except CommandError as error:
        job.log.info(f"couldn't load the module vmw_vsock_vmci_transport: {error}")


def value(info: GuestInfo, name: str, default: str = "") -> str:
    """The value ``guestinfo.NAME``, or ``default`` if the host has none."""
    known, text = info.ask(f"info-get guestinfo.{name}")
    return text.decode("utf-8", "surrogateescape") if known else default


def set_value(info: GuestInfo, name: str, text: str) -> None:
    """Sets the value ``guestinfo.NAME``."""
    done, answer = info.ask(f"info-set guestinfo.{name} {text}")
    if not done:
        raise FetchError(f"setting guestinfo.{name}: {answer.decode(errors='replace')}")
