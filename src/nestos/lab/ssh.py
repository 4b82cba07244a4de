"""Running commands in a machine over SSH, with the system's own client.

A lab has one key pair, made once in the cache. Host keys are new with every first boot and the way leads over
loopback, so they are not checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nestos.base.clock import Clock, SystemClock
from nestos.base.errors import CommandError, StateError
from nestos.host import process
from nestos.host.process import Completed, Runner

DEFAULT_USER = "nest"
_NOT_CONNECTED = 255  # ssh's own failures, ssh(1) EXIT STATUS
_RETRY_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A key pair: where the private key lies, and the public key as ``authorized_keys`` has it."""

    private: Path
    public: str


def identity(folder: Path, *, runner: Runner = process.run) -> Identity:
    """The lab's key pair in ``folder``, made if it is missing."""
    private = folder / "id_ed25519"
    public = folder / "id_ed25519.pub"
    if not (private.exists() and public.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        private.unlink(missing_ok=True)
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "nestos-lab", "-f", str(private)]
        runner(command, timeout_seconds=60)
    return Identity(private=private, public=public.read_text().strip())


class Ssh:
    """The way into one machine: a port of 127.0.0.1, a user, a key."""

    def __init__(
        self,
        *,
        port: int,
        identity: Identity,
        user: str = DEFAULT_USER,
        runner: Runner = process.run,
        clock: Clock | None = None,
    ) -> None:
        self.port = port
        self.user = user
        self._identity = identity
        self._runner = runner
        self._clock = clock or SystemClock()

    def command_line(self, command: str = "") -> list[str]:
        """The ``ssh`` command that runs ``command`` there, or opens a shell."""
        options = {
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "IdentitiesOnly": "yes",
            "LogLevel": "ERROR",
            "ConnectTimeout": "20",
            "ServerAliveInterval": "10",
            "ServerAliveCountMax": "6",
        }
        if command:
            options["BatchMode"] = "yes"
        line = ["ssh", "-F", "/dev/null", "-i", str(self._identity.private), "-p", str(self.port)]
        line += [f"-o{name}={value}" for name, value in options.items()]
        line.append(f"{self.user}@127.0.0.1")
        return [*line, "--", command] if command else line

    def __call__(
        self,
        command: str,
        /,
        *,
        timeout_seconds: float = 120,
        accepted: tuple[int, ...] = (0,),
        stdin: str | bytes | None = None,
    ) -> Completed:
        """Runs ``command``, a line for the user's shell there; raises ``CommandError`` when it fails."""
        line = self.command_line(command)
        return self._runner(line, timeout_seconds=timeout_seconds, accepted=accepted, stdin=stdin)

    def wait(self, *, timeout_seconds: float) -> None:
        """Waits until the machine lets us in. Raises ``StateError`` with the last refusal."""
        deadline = self._clock.monotonic() + timeout_seconds
        refusal = ""
        while True:
            try:
                done = self("true", timeout_seconds=60, accepted=(0, _NOT_CONNECTED))
            except CommandError as error:
                refusal = error.output
            else:
                if done.returncode == 0:
                    return
                refusal = done.stderr.strip()
            if self._clock.monotonic() >= deadline:
                raise StateError(f"no way in over SSH in {timeout_seconds:.0f} s: {refusal or 'no answer'}")
            self._clock.sleep(_RETRY_SECONDS)
