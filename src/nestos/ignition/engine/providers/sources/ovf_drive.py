"""The drive on which Azure gives a machine its custom data: a virtual CD-ROM with ``ovf-env.xml`` on it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nestos.base.errors import CommandError
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.providers.sources.drive import POLL_SECONDS, content, mounted
from nestos.ignition.engine.transport import FetchError
from nestos.ignition.engine.waiting import Patience

_CONFIG = "/CustomData.bin"
_MARK = "ovf-env.xml"
_NOTHING_FOUND = 2  # blkid(8)
_CDROM_DRIVE_STATUS = 0x5326  # <linux/cdrom.h>
_CDSL_CURRENT = 2147483647
_STATES = ("no info", "no disc", "open", "not ready", "OK")
_DISC_OK = 4


def custom_data(job: Job, *, file_systems: Sequence[str]) -> bytes:
    """The custom data, empty if there is none; the drive is waited for without end."""
    patience = Patience(f"a drive with {_MARK}", clock=job.machine.clock, log=job.log)
    seen: set[Path] = set()
    while True:
        for file_system in file_systems:
            for device in _devices(job, file_system):
                if device in seen or not _has_disc(job, device):
                    continue
                try:
                    data = _data_on(job, device, file_system)
                except FetchError as error:
                    job.log.debug(f'failed to retrieve config from device "{device}": {error}')
                    seen.add(device)
                else:
                    job.log.info("config has been read from custom data")
                    return data
        patience.pause(POLL_SECONDS)


def _devices(job: Job, file_system: str) -> list[Path]:
    """The block devices with such a file system."""
    command = ["blkid", "--cache-file=/dev/null", "--output=device", f"--match-token=TYPE={file_system}"]
    try:
        listed = job.machine.runner(command, accepted=(0, _NOTHING_FOUND))
    except CommandError as error:
        raise FetchError(f'failed to retrieve block devices with FSTYPE="{file_system}": {error}') from error
    return [job.machine.at(line) for line in listed.stdout.split()]


def _has_disc(job: Job, device: Path) -> bool:
    """True for a CD-ROM drive with something in it: no other device of the machine is to be read."""
    try:
        opened = os.open(device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        job.log.info(f"failed to open config device: {error.strerror}")
        return False
    try:
        status = job.machine.control(opened, _CDROM_DRIVE_STATUS, _CDSL_CURRENT)
    except OSError as error:
        job.log.warning(f"failed to get drive status: {error.strerror}")
        return False
    finally:
        os.close(opened)
    job.log.info(f"drive status: {_STATES[status] if 0 <= status < len(_STATES) else status}")
    return bool(status == _DISC_OK)


def _data_on(job: Job, device: Path, file_system: str) -> bytes:
    with mounted(job, device, file_system=file_system) as folder:
        if content(folder, _MARK) is None:
            raise FetchError(f'device "{device}" does not appear to be a config drive')
        return content(folder, _CONFIG) or b""
