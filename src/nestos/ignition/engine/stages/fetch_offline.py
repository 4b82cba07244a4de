"""Gets the config if that can be done without a network, and says whether a network will be needed."""

from __future__ import annotations

from nestos.ignition.engine.acquire import BASE, acquire, resources_of
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.stages.fetch import keep
from nestos.ignition.engine.transport import NeedsNetworkError, Transport, needs_network


def run(job: Job) -> None:
    """Leaves the config, or the flag that asks for a network, or both if only its files need one."""
    transport = Transport.of(job, offline=True, total_seconds=job.settings.fetch_timeout_seconds)
    try:
        acquired = acquire(job, transport=transport)
    except NeedsNetworkError as error:
        job.log.info(f"networking is needed: {error}")
        state = job.read_state()
        state["fetchedConfigs"] = [BASE]
        job.write_state(state)
        job.ask_for_network()
        return
    if any(needs_network(url) for url in resources_of(acquired.config)):
        job.log.info("networking is needed for contents that the config refers to")
        job.ask_for_network()
    keep(job, acquired)
