"""File systems of the config, mounted below the root."""

from __future__ import annotations

from nestos.ignition.engine.job import Job, refuse


def run(job: Job) -> None:
    """Nothing to do without file systems; with any, refuses."""
    refuse(job.read_config(), ("storage", "filesystems"))
