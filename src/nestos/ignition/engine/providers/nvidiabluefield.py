"""NVIDIA BlueField: the config is in the boot FIFO of the card, as the driver mlxbf_bootctl shows it."""

from __future__ import annotations

from nestos.ignition.engine.job import Job
from nestos.ignition.engine.providers.sources.kernel import require_module
from nestos.ignition.engine.transport import Transport

_FIFOS = ("/sys/bus/platform/devices/MLNXBF04:00/bootfifo",)


def fetch_config(job: Job, *, transport: Transport) -> bytes | None:
    """What is in the first FIFO that is not empty, without the padding; none if there is none."""
    del transport
    require_module(job, "mlxbf_bootctl")
    for name in _FIFOS:
        job.log.debug(f"Attempting to read bootfifo at {name}")
        try:
            data = job.machine.at(name).read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            job.log.warning(f"Could not read bootfifo at {name}: {error.strerror}")
            continue
        if data:
            return data.strip(b"\0")
        job.log.info(f"{name} is empty")
    job.log.info("No config found in any of the NVIDIA BlueField bootfifo interfaces")
    return None
