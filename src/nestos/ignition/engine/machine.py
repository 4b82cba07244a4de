"""What the engine reads from and does to the machine around it, gathered in one value so that tests can own it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nestos.base.clock import Clock, SystemClock
from nestos.host.process import Runner, run

if TYPE_CHECKING:
    from urllib.request import BaseHandler


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


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The surroundings of a run.

    ``config_folders``: where ``user.ign``, ``base.d`` and ``base.platform.d`` are looked for, the most important
    first. ``authority_bundles``: files with the certificate authorities of the system; the first that exists is used.
    ``web_handlers``: take the place of the real ones for HTTP and HTTPS; none means the real ones.
    """

    config_folders: tuple[Path, ...] = (Path("/run/ignition"), Path("/etc/ignition"), Path("/usr/lib/ignition"))
    command_line: Path = Path("/proc/cmdline")
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
    runner: Runner = run
    owners: Owners = field(default_factory=RootOwners)
    web_handlers: tuple[BaseHandler, ...] = ()
    clock: Clock = field(default_factory=SystemClock)
    sync: Callable[[], None] = os.sync
