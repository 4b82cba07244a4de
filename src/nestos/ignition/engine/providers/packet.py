"""Equinix Metal (Packet): the config is the user data of the server; how each stage ended goes to its timeline."""

from __future__ import annotations

import json

from nestos.ignition.engine.fetchers.http import Buffer, Request, ask, get
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.providers.sources.metadata import ANYTHING, UserData
from nestos.ignition.engine.transport import FetchError, Transport

_SERVICE = "https://metadata.packet.net"

fetch_config = UserData(url=f"{_SERVICE}/userdata", headers=ANYTHING, missing_is_empty=False)


def report_status(job: Job, *, stage: str, error: str) -> None:
    """Says that ``stage`` ended well, with an empty ``error``, or why it did not. Raises as fetching does."""
    job.log.info("POST message to Packet Timeline")
    transport = Transport.of(job, offline=stage == "fetch-offline", total_seconds=job.settings.fetch_timeout_seconds)
    found = get(Request(url=f"{_SERVICE}/metadata", headers=ANYTHING), transport=transport)
    try:
        home = str(json.loads(found)["phone_home_url"]).removesuffix("/phone-home")
    except (ValueError, KeyError, TypeError) as problem:
        raise FetchError(f"the metadata does not say where to report to: {problem}") from problem
    outcome = f"Ignition error: {error}" if error else "Ignition status: finished successfully"
    message = {"state": "failed" if error else "running", "message": f"[{stage}] {outcome}"}
    request = Request(
        url=f"{home}/events",
        method="POST",
        headers={"Content-Type": "application/json"},
        body=json.dumps(message).encode(),
        attempts=1,
    )
    ask(request, Buffer(), transport=transport)
