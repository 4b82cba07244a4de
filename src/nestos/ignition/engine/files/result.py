"""The record that provisioning leaves on the node: when, in which boot, whether there was a config of the user."""

from __future__ import annotations

import json
import os

from nestos.base.errors import CommandError
from nestos.ignition.engine.files.place import Places
from nestos.ignition.engine.job import Job

RESULT = "/etc/.ignition-result.json"
_LIVE_HOOK = "is-live-image"
_MODE = 0o600


def write_result(job: Job, *, places: Places) -> None:
    """Writes the record; one of an earlier run is kept inside it, with a warning, except on a live system."""
    path = places.find(RESULT)
    fetched = job.read_state().get("fetchedConfigs") or []
    record: dict[str, object] = {
        "provisioningBootID": job.machine.boot_id.read_text().strip(),
        "provisioningDate": job.machine.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        "userConfigProvided": any(entry["kind"] == "user" for entry in fetched),
    }
    if os.path.exists(path) and not _is_live(job):
        job.log.warning(
            f"{RESULT} exists: Ignition has already run on this system. Unexpected behavior may occur. "
            "Ignition is not designed to run more than once per system."
        )
        try:
            with open(path, "rb") as file:
                record["previousReport"] = json.load(file)
        except ValueError:
            job.log.warning(f"{RESULT} of the earlier run cannot be read and is dropped")
    with job.log.operation(f"writing the result to {RESULT}"):
        places.write(path, json.dumps(record, indent=2).encode() + b"\n", mode=_MODE)


def _is_live(job: Job) -> bool:
    """True on a system that runs from memory, where every boot is the first: the image has a program that tells."""
    try:
        job.machine.runner([_LIVE_HOOK])
    except CommandError:
        return False
    return True
