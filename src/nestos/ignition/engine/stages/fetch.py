"""Gets the config, over a network if need be, and leaves it for the other stages."""

from __future__ import annotations

from nestos.ignition.engine import parts
from nestos.ignition.engine.acquire import Acquired, acquire
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.transport import Transport

_INFORMATION = "6"  # syslog(3)


def run(job: Job) -> None:
    """Leaves the config and the state."""
    transport = Transport.of(job, total_seconds=job.settings.fetch_timeout_seconds)
    keep(job, acquire(job, transport=transport))
    job.log.info("fetch complete")


def keep(job: Job, acquired: Acquired) -> None:
    """Writes state and config, the config last: where there is a config, the rest is there."""
    state = job.read_state()
    state["fetchedConfigs"] = acquired.sources
    job.write_state(state)
    job.write_config(acquired.config)
    if not job.machine.journal_socket.exists():
        return
    journal = parts.load(parts.JOURNAL)
    for entry in acquired.sources:
        referenced = "referenced " if entry["referenced"] else ""
        journal.send(
            job.machine.journal_socket,
            f'fetched {referenced}{entry["kind"]} config from "{entry["source"]}"',
            message_id=journal.CONFIG_FETCHED,
            PRIORITY=_INFORMATION,
            IGNITION_CONFIG_TYPE=entry["kind"],
            IGNITION_CONFIG_SRC=entry["source"],
            IGNITION_CONFIG_REFERENCED=str(entry["referenced"]).lower(),
        )
