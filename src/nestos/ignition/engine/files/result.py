"""The record that provisioning leaves on the node: when, in which boot, whether there was a config of the user."""

from __future__ import annotations

import json

from nestos.ignition.engine.files.place import write
from nestos.ignition.engine.job import Job

RESULT = "/etc/.ignition-result.json"
_MODE = 0o600


def write_result(job: Job) -> None:
    """Writes the record; one of an earlier run is kept inside it, with a warning."""
    path = job.root.join(RESULT)
    fetched = job.read_state().get("fetchedConfigs", [])
    record: dict[str, object] = {
        "provisioningBootID": job.machine.boot_id.read_text().strip(),
        "provisioningDate": job.machine.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        "userConfigProvided": any(entry["kind"] == "user" for entry in fetched),
    }
    if path.exists():
        job.log.warning(f"{RESULT} exists: Ignition has run on this system before")
        try:
            record["previousReport"] = json.loads(path.read_bytes())
        except ValueError:
            job.log.warning(f"{RESULT} of the earlier run cannot be read and is dropped")
    with job.log.operation(f"writing the result to {RESULT}"):
        write(path, json.dumps(record, indent=2).encode() + b"\n", mode=_MODE, owners=job.machine.owners)
