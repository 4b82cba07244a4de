"""Amazon Web Services: the config is the user data of the instance, in a session (IMDSv2) if there are any."""

from __future__ import annotations

from nestos.ignition.engine.fetchers.ec2 import SERVICE, token_headers
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.providers.sources.metadata import UserData
from nestos.ignition.engine.transport import Transport


def fetch_config(job: Job, *, transport: Transport) -> bytes | None:
    """The user data."""
    user_data = UserData(url=f"{SERVICE}/2019-10-01/user-data", headers=token_headers(transport))
    return user_data(job, transport=transport)
