"""QEMU: the config is an entry of the firmware configuration device (``-fw_cfg name=opt/com.coreos/config,file=F``).

The kernel shows entries in sysfs: Documentation/ABI/testing/sysfs-firmware-qemu_fw_cfg.
"""

from __future__ import annotations

from nestos.base.errors import CommandError
from nestos.ignition.engine.job import Job

_ENTRY = "by_name/opt/com.coreos/config/raw"


def fetch_config(job: Job) -> bytes | None:
    """The config in the firmware configuration, or none where there is no such entry."""
    try:
        job.machine.runner(["modprobe", "qemu_fw_cfg"])
    except CommandError as error:
        # It may be built in; whether the device is there decides.
        job.log.info(f"couldn't load the module qemu_fw_cfg: {error}")
    path = job.machine.fw_cfg / _ENTRY
    try:
        return path.read_bytes()
    except FileNotFoundError:
        job.log.info("QEMU firmware config was not found. Ignoring...")
        return None
