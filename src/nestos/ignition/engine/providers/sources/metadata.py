"""Metadata services: web servers that only the machine they speak of can reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nestos.ignition.engine.fetchers.http import Request, get
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.transport import NeedsNetworkError, NotFoundError, Transport, shown

ANYTHING = {"Accept": "*/*"}
"""For services that refuse the engine's own wish, which names the type of configs."""


@dataclass(frozen=True, kw_only=True)
class UserData:
    """Where a platform keeps what its user gave it, as it is.

    ``missing_is_empty``: whether an answer of 404 means that the user gave nothing, or that something is wrong.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    worth_retrying: frozenset[int] = frozenset()
    missing_is_empty: bool = True
    low_port: bool = False

    def __call__(self, job: Job, *, transport: Transport) -> bytes | None:
        """The data; none if there is none."""
        request = Request(
            url=self.url, headers=self.headers, worth_retrying=self.worth_retrying, low_port=self.low_port
        )
        try:
            return get(request, transport=transport)
        except NotFoundError as error:
            if not self.missing_is_empty:
                raise
            job.log.info(f"no config provided: {error}")
            return None


def require_network(transport: Transport, url: str) -> None:
    """Raises ``NeedsNetworkError`` if there may be none, for platforms that could also be asked without one."""
    if transport.offline:
        raise NeedsNetworkError(f"resource requires networking: {shown(url)}")
