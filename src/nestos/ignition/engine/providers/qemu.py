"""QEMU: the config is an entry of the firmware configuration device (``-fw_cfg name=opt/com.coreos/config,file=F``).

The kernel shows entries in sysfs: Documentation/ABI/testing/sysfs-firmware-qemu_fw_cfg. Machines of s390x and ppc64le
have no such device; there it is the block device with the serial ``ignition`` (``-device virtio-blk,serial=ignition``).
"""

from __future__ import annotations

from pathlib import Path

from nestos.base.errors import CommandError
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.providers.sources.kernel import require_module
from nestos.ignition.engine.transport import FetchError, Transport
from nestos.ignition.engine.waiting import Patience

_ENTRY = "by_name/opt/com.coreos/config"
_WITHOUT_FIRMWARE_CONFIG = ("s390x", "ppc64le")
_BLOCK_DEVICE = "/dev/disk/by-id/virtio-ignition"
_BLOCK_DRIVER = "/sys/bus/virtio/drivers/virtio_blk"
_BLOCK_SECONDS = 300.0
_POLL_SECONDS = 5.0


def fetch_config(job: Job, *, transport: Transport) -> bytes | None:
    """The config in the firmware configuration, or on the block device where that is the way; none if it has none."""
    del transport
    if job.machine.architecture in _WITHOUT_FIRMWARE_CONFIG:
        require_module(job, "virtio_blk", shown_by=_BLOCK_DRIVER)
        return _from_block_device(job)
    if not job.machine.fw_cfg.exists():
        try:
            job.machine.runner(["modprobe", "qemu_fw_cfg"])
        except CommandError as error:
            # It may be built in; whether the device is there decides.
            job.log.info(f"couldn't load the module qemu_fw_cfg: {error}")
    entry = job.machine.fw_cfg / _ENTRY
    try:
        size = int((entry / "size").read_text())
    except FileNotFoundError:
        job.log.info("QEMU firmware config was not found. Ignoring...")
        return None
    except ValueError as error:
        raise FetchError(f"couldn't parse QEMU firmware config size: {error}") from error
    return _from_firmware(job, entry / "raw", size)


def _from_firmware(job: Job, path: Path, size: int) -> bytes:
    """The entry, read in pieces as large as the kernel allows: each costs as much time as all before it."""
    patience = Patience("the firmware config to be read", clock=job.machine.clock, log=job.log)
    data = b""
    with path.open("rb", buffering=0) as file:
        while len(data) < size:
            piece = file.read(size - len(data))
            if not piece:
                raise FetchError(f"the QEMU firmware config ends after {len(data)} of {size} bytes")
            data += piece
            patience.pause(0.0, problem=f"{len(data) // 1024}/{size // 1024} KB; large contents are better fetched")
    return data


def _from_block_device(job: Job) -> bytes:
    device = job.machine.at(_BLOCK_DEVICE)
    patience = Patience(
        f'the block device "{device}"', clock=job.machine.clock, log=job.log, total_seconds=_BLOCK_SECONDS
    )
    while True:
        try:
            return device.read_bytes().rstrip(b"\0")
        except FileNotFoundError as error:
            if patience.is_over:
                raise FetchError(
                    f'timed out after {_BLOCK_SECONDS:.0f} s waiting for block device "{device}" to appear'
                ) from error
            patience.pause(_POLL_SECONDS, problem="there is no such device")
        except OSError as error:
            raise FetchError(f'couldn\'t read the block device "{device}": {error.strerror}') from error
