"""What the engine reads from and does to the machine around it, gathered in one value so that tests can own it."""

from __future__ import annotations

import fcntl
import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nestos.base.clock import Clock, SystemClock

if TYPE_CHECKING:
    from nestos.host.process import Completed, Runner

PROCESS = "nestos.host.process"
"""What starts processes: loaded with the first one, because most stages of most boots start none."""


def _run(command: Sequence[str | os.PathLike[str]], /, **options: Any) -> Completed:
    completed: Completed = importlib.import_module(PROCESS).run(command, **options)
    return completed


class Owners(Protocol):
    """Changing owners, and acting as another user: what only root can do."""

    def give(self, path: Path, *, uid: int, gid: int) -> None:
        """Makes ``path``, itself and not what it may link to, belong to a user and a group."""

    def acting_as(self, *, uid: int, gid: int) -> AbstractContextManager[None]:
        """In the block, files are made by that user, with no more rights than that user has."""


class RootOwners:
    """The real thing. The process must be root and have one thread."""

    def give(self, path: Path, *, uid: int, gid: int) -> None:
        os.chown(path, uid, gid, follow_symlinks=False)

    @contextmanager
    def acting_as(self, *, uid: int, gid: int) -> Iterator[None]:
        old_uid, old_gid, old_groups = os.geteuid(), os.getegid(), os.getgroups()
        os.setgroups([gid])
        os.setegid(gid)
        os.seteuid(uid)
        try:
            yield
        finally:
            os.seteuid(old_uid)
            os.setegid(old_gid)
            os.setgroups(old_groups)


class Connection(Protocol):
    """A stream of bytes to somewhere, as a socket has it. Everything may raise ``OSError``."""

    def sendall(self, data: bytes, /) -> None:
        """Sends all of ``data``."""

    def recv(self, size: int, /) -> bytes:
        """Up to ``size`` bytes as soon as there are any; none at the end."""

    def settimeout(self, seconds: float | None, /) -> None:
        """How long the other methods may wait; none is for ever."""

    def close(self) -> None:
        """Ends the connection."""


class Datagrams(Protocol):
    """A socket for single packets. Everything may raise ``OSError``."""

    def sendto(self, data: bytes, address: Any, /) -> int:
        """Sends one packet."""

    def recvfrom(self, size: int, /) -> tuple[bytes, Any]:
        """The next packet and its sender."""

    def settimeout(self, seconds: float | None, /) -> None:
        """How long to wait for a packet."""

    def close(self) -> None:
        """Ends it."""


class Network(Protocol):
    """What fetchers reach the world through. Everything may raise ``OSError``."""

    def connect(self, host: str, port: int, *, timeout_seconds: float | None, low_port: bool) -> Connection:
        """A TCP connection; ``low_port``: from a port below 1024, which only root can have."""

    def connect_context(self, context: int, port: int, *, low_port: bool) -> Connection:
        """A connection to another context of this hypervisor, vsock(7): 0 is the hypervisor, 2 its host."""

    def secure(
        self, connection: Connection, *, host: str, bundles: Sequence[Path], authorities: Sequence[str]
    ) -> Connection:
        """``connection`` with TLS to ``host``, trusting the first of ``bundles`` there is, and ``authorities``."""

    def datagrams(self, host: str, port: int) -> tuple[Datagrams, Any]:
        """A socket for packets to ``host``, and the address to send to."""


def _config_folders() -> tuple[Path, ...]:
    named = os.environ.get("IGNITION_SYSTEM_CONFIG_DIR")
    return (Path(named),) if named else (Path("/run/ignition"), Path("/etc/ignition"), Path("/usr/lib/ignition"))


def _command_line() -> Path:
    return Path(os.environ.get("IGNITION_KERNEL_CMDLINE_PATH") or "/proc/cmdline")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The surroundings of a run.

    ``config_folders``: where ``user.ign``, ``base.d`` and ``base.platform.d`` are looked for, the most important
    first; the environment may name one that takes the place of all. ``authority_bundles``: files with the certificate
    authorities of the system; the first that exists is used. ``network``: none means the real one, loaded when it is
    wanted. ``top``: what devices and files of the kernel are looked for below. ``control``: ioctl(2).
    """

    config_folders: tuple[Path, ...] = field(default_factory=_config_folders)
    command_line: Path = field(default_factory=_command_line)
    top: Path = Path("/")
    fw_cfg: Path = Path("/sys/firmware/qemu_fw_cfg")
    boot_id: Path = Path("/proc/sys/kernel/random/boot_id")
    journal_socket: Path = Path("/run/systemd/journal/socket")
    authority_bundles: tuple[Path, ...] = (
        Path("/etc/ssl/certs/ca-certificates.crt"),
        Path("/etc/pki/tls/certs/ca-bundle.crt"),
        Path("/usr/etc/ssl/certs/ca-certificates.crt"),
    )
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    runner: Runner = _run
    owners: Owners = field(default_factory=RootOwners)
    network: Network | None = None
    clock: Clock = field(default_factory=SystemClock)
    control: Callable[[int, int, Any], Any] = fcntl.ioctl
    architecture: str = field(default_factory=lambda: os.uname().machine)

    def at(self, path: str) -> Path:
        """The place of the absolute ``path`` on this machine."""
        return self.top / path.lstrip("/")
