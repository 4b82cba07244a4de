"""Config drives: file systems that a platform attaches to a machine, with the config in a file.

They are found by the label of the file system, as udev shows it below /dev/disk/by-label, and mounted read-only for
as long as reading takes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nestos.base.errors import CommandError
from nestos.base.paths import Root
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.transport import FetchError
from nestos.ignition.engine.waiting import Patience

LABELS = "/dev/disk/by-label"
NOCLOUD_FILE = "/user-data"
OPENSTACK_FILE = "/openstack/latest/user_data"
POLL_SECONDS = 1.0
_MOUNT_POINTS = "/run/ignition-drives"
_NAMED_DEVICE_SECONDS = 30.0


@contextmanager
def mounted(job: Job, device: Path, *, file_system: str = "auto") -> Iterator[Path]:
    """The folder where ``device`` is mounted in the block. Raises ``FetchError`` if it cannot be mounted."""
    point = job.machine.at(_MOUNT_POINTS) / f"{device.name}-{os.getpid()}"
    point.mkdir(parents=True)
    try:
        try:
            with job.log.operation(f'mounting "{device}" at "{point}"'):
                job.machine.runner(["mount", "-o", "ro", "-t", file_system, device, point])
        except CommandError as error:
            raise FetchError(f'failed to mount device "{device}": {error}') from error
        try:
            yield point
        finally:
            _unmount(job, point)
    finally:
        _remove(job, point)


def _unmount(job: Job, point: Path) -> None:
    """A drive that stays mounted is a blemish, not a reason to fail."""
    try:
        job.machine.runner(["umount", point])
    except CommandError as error:
        job.log.warning(f'unmounting "{point}" failed: {error}')


def _remove(job: Job, point: Path) -> None:
    try:
        point.rmdir()
    except OSError as error:
        job.log.warning(f'failed to remove temp directory "{point}": {error.strerror}')


@dataclass(frozen=True, kw_only=True)
class Drive:
    """A drive of this ``label``, with the config in the ``file`` of this path.

    ``others``: where it may be else. ``ignored``: a beginning that shows that a file is somebody else's; with it, an
    empty file counts as none.
    """

    label: str
    file: str
    others: tuple[str, ...] = ()
    ignored: bytes = b""

    @property
    def name(self) -> str:
        """As it is called in the log."""
        return f"config drive ({self.label})"

    def device(self, job: Job) -> Path:
        """Where it is once it is there."""
        return job.machine.at(LABELS) / self.label

    def read(self, job: Job) -> bytes | None:
        """The content of the first file that is there and ours; none if there is none."""
        with mounted(job, self.device(job)) as folder:
            for file in (self.file, *self.others):
                data = content(folder, file)
                if data is None:
                    continue
                if not self.ignored or (data and not data.startswith(self.ignored)):
                    return data
                job.log.debug(f'config drive ("{file}") is empty or a cloud-config configuration, ignoring')
        return None


def content(folder: Path, file: str) -> bytes | None:
    """What is in ``file`` below ``folder``, from where no link leads out; none if it is not there."""
    try:
        return Root(folder).join(file).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FetchError(f'couldn\'t read "{file}" of the config drive: {error.strerror}') from error


def is_there(job: Job, drive: Drive, *, within_seconds: float = 0.0) -> bool:
    """Waits for ``drive``; false if it did not appear in time. 0 seconds: waits until it does."""
    device = drive.device(job)
    patience = Patience(
        f'{drive.name} at "{device}"', clock=job.machine.clock, log=job.log, total_seconds=within_seconds
    )
    while not device.exists():
        if patience.is_over:
            return False
        patience.pause(POLL_SECONDS, problem="there is no such device")
    return True


def read_when_there(job: Job, drive: Drive) -> bytes | None:
    """What is on ``drive``, which is always attached and so is waited for without end."""
    is_there(job, drive)
    return drive.read(job)


def read_if_there(job: Job, drive: Drive, *, within_seconds: float) -> bytes | None:
    """What is on ``drive``; none if it does not appear in time, or cannot be read."""
    if not is_there(job, drive, within_seconds=within_seconds):
        job.log.info(f"{drive.label} drive was not available in time. Continuing without a config...")
        return None
    try:
        return drive.read(job)
    except FetchError as error:
        job.log.warning(f"failed to fetch config from {drive.name}: {error}")
        return None


def read_named(job: Job, *, label: str, path: str) -> bytes:
    """The file ``path`` of the device ``label``, both as the kernel command line names them."""
    if "/" in label or label in (".", ".."):
        raise FetchError(f'invalid device label "{label}"')
    drive = Drive(label=label, file=path)
    if not is_there(job, drive, within_seconds=_NAMED_DEVICE_SECONDS):
        raise FetchError(f'device "{label}" did not appear within timeout')
    data = drive.read(job)
    if data is None:
        raise FetchError(f'config file "{path}" not found on device "{label}"')
    return data
