"""Oracle Cloud Infrastructure: the config is the user data of the instance, in base64."""

from __future__ import annotations

from nestos.ignition.engine.job import Job
from nestos.ignition.engine.providers.sources.decoding import from_base64
from nestos.ignition.engine.providers.sources.metadata import UserData
from nestos.ignition.engine.transport import Transport

_TOO_MANY_REQUESTS = 429
_user_data = UserData(
    url="http://169.254.169.254/opc/v2/instance/metadata/user_data",
    headers={"Authorization": "Bearer Oracle"},
    worth_retrying=frozenset({_TOO_MANY_REQUESTS}),
)


def fetch_config(job: Job, *, transport: Transport) -> bytes | None:
    """The user data, decoded."""
    data = _user_data(job, transport=transport)
    return None if data is None else from_base64(data)
