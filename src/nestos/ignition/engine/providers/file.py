"""A file named by the environment: for tests and for trying things out."""

from __future__ import annotations

from pathlib import Path

from nestos.ignition.engine.job import Job
from nestos.ignition.engine.transport import FetchError, Transport

_VARIABLE = "IGNITION_CONFIG_FILE"
_DEFAULT = "config.ign"


def fetch_config(job: Job, *, transport: Transport) -> bytes | None:
    """The content of the file that ``IGNITION_CONFIG_FILE`` names, else of ``config.ign``."""
    del transport
    path = Path(job.machine.environment.get(_VARIABLE) or _DEFAULT)
    job.log.info(f'using config file at "{path}"')
    try:
        return path.read_bytes()
    except OSError as error:
        raise FetchError(f'couldn\'t read config "{path}": {error.strerror}') from error
