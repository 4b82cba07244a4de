"""Programs of a tools tree, run in a sandbox.

Whatever shapes output (mkfs.erofs, ostree, GRUB's image maker, mmdebstrap) runs from one pinned Debian root instead
of the host, so that the same inputs give the same bytes anywhere. A ``Toolbox`` is a ``Runner``: code that asks for
one does not know whether it runs on a node or inside the sandbox. The host needs only bubblewrap.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from nestos.host import process
from nestos.host.process import Completed, RunOptions

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Toolbox:
    """Runs commands with ``root`` as ``/`` and each folder of ``binds`` writable at its own path."""

    def __init__(self, root: Path, *, binds: Sequence[Path] = (), network: bool = False, devices: bool = False) -> None:
        self.root = root
        self._binds = tuple(binds)
        self._network = network
        self._devices = devices

    def with_binds(self, *binds: Path, network: bool = False) -> Toolbox:
        """The same tools with more of the host visible to them."""
        return Toolbox(self.root, binds=(*self._binds, *binds), network=self._network or network, devices=self._devices)

    def wrap(
        self, command: Sequence[str | os.PathLike[str]], *, cwd: Path | None = None, outlives_us: bool = False
    ) -> list[str]:
        """The command line that runs ``command`` inside; it ends with this program unless it ``outlives_us``."""
        # A bind of "/" (not --ro-bind) because package managers are run inside on trees below the binds.
        line = ["bwrap", "--bind", os.fspath(self.root), "/", "--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", "/run"]
        line += ["--dev-bind", "/dev", "/dev"] if self._devices else ["--dev", "/dev"]
        line += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--cap-add", "ALL"]
        line += [] if outlives_us else ["--die-with-parent"]
        if self._network:
            line += ["--ro-bind", "/etc/resolv.conf", "/etc/resolv.conf"]
            line += ["--ro-bind", "/etc/hosts", "/etc/hosts"]
        else:
            line += ["--unshare-net"]
        for bind in self._binds:
            line += ["--bind", os.fspath(bind), os.fspath(bind)]
        if cwd is not None:
            line += ["--chdir", os.fspath(cwd)]
        return [*line, "--", *(os.fspath(part) for part in command)]

    def __call__(self, command: Sequence[str | os.PathLike[str]], /, **options: Unpack[RunOptions]) -> Completed:
        """As ``process.run``, inside."""
        environment = {"PATH": _PATH, "HOME": "/root", "TMPDIR": "/tmp"} | dict(options.get("environment") or {})
        inside: RunOptions = {**options, "environment": environment, "cwd": None}
        return process.run(self.wrap(command, cwd=options.get("cwd")), **inside)
