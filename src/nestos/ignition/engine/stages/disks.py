"""Partitions, RAID arrays, encrypted volumes and file systems."""

from __future__ import annotations

from nestos.ignition.engine.job import Job, refuse


def run(job: Job) -> None:
    """Nothing to do without these sections; with any of them, refuses."""
    refuse(
        job.read_config(),
        ("storage", "disks"),
        ("storage", "raid"),
        ("storage", "luks"),
        ("storage", "filesystems"),
    )
