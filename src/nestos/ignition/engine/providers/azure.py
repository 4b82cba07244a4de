"""Microsoft Azure: the config is the user data of the machine, in base64, or else its custom data, on a drive."""

from __future__ import annotations

from nestos.ignition.engine.fetchers.http import Request, get
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.providers.sources.decoding import from_base64
from nestos.ignition.engine.providers.sources.ovf_drive import custom_data
from nestos.ignition.engine.transport import Transport

_URL = "http://169.254.169.254/metadata/instance/compute/userData?api-version=2021-01-01&format=text"
_WORTH_RETRYING = frozenset({404, 410, 429})  # the service says so while it starts


def fetch_config(job: Job, *, transport: Transport) -> bytes | None:
    """The user data, decoded; if it is empty, the custom data."""
    request = Request(url=_URL, headers={"Metadata": "true"}, worth_retrying=_WORTH_RETRYING)
    data = get(request, transport=transport)
    if data:
        job.log.info("config has been read from IMDS userdata")
        return from_base64(data)
    job.log.debug("failed to retrieve userdata from IMDS, falling back to custom data")
    return custom_data(job, file_systems=("udf",))
