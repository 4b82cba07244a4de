"""Accounts, then files, directories and links, then units, then the result."""

from __future__ import annotations

from nestos.ignition.engine.files.nodes import write_nodes
from nestos.ignition.engine.files.passwd import write_passwd
from nestos.ignition.engine.files.result import write_result
from nestos.ignition.engine.files.units import write_units
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.transport import Transport


def run(job: Job) -> None:
    """Writes everything into the root, and to the disk."""
    config = job.read_config()
    transport = Transport.of(job).configured(config)
    with job.log.within("passwd"):
        write_passwd(job, config.get("passwd", {}))
    with job.log.within("storage"):
        write_nodes(job, config.get("storage", {}), transport=transport)
    with job.log.within("units"):
        write_units(job, config.get("systemd", {}))
    write_result(job)
    job.machine.sync()
