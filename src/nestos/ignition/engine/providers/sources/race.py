"""Several places where a config may be: the first that has an answer decides.

One after another in short turns, not at the same time: what happens does not depend on which thread was faster, and
the log reads in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from nestos.base.errors import NetworkError
from nestos.ignition.engine.fetchers.http import Buffer, Request, ask, require_found
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.providers.sources.drive import POLL_SECONDS, Drive
from nestos.ignition.engine.transport import FetchError, NotFoundError, Transport, UnreachableError
from nestos.ignition.engine.waiting import Patience

_TURN_SECONDS = 2.0
_SERVER_ERRORS = 500


class NotYetError(Exception):
    """No answer in this turn; another may bring one."""


class Contender(Protocol):
    """A place where a config may be."""

    @property
    def name(self) -> str:
        """As it is called in the log."""

    def turn(self) -> bytes | None:
        """The config, or none: there is certainly none. Raises ``NotYetError``, or ``NestosError`` to give up."""


@dataclass(frozen=True, kw_only=True)
class DriveContender:
    """A drive that may appear."""

    job: Job
    drive: Drive

    @property
    def name(self) -> str:
        return self.drive.name

    def turn(self) -> bytes | None:
        if not self.drive.device(self.job).exists():
            raise NotYetError
        return self.drive.read(self.job)


@dataclass(kw_only=True)
class ServiceContender:
    """A metadata service that may answer, until the time for fetching is over.

    ``urls``: where it may be, as far as that is known by now; asked for again in each turn.
    """

    job: Job
    transport: Transport
    urls: Callable[[Job], Sequence[str]]
    end: float | None = None
    name: str = "metadata service"

    def turn(self) -> bytes | None:
        clock = self.job.machine.clock
        if self.end is None and self.transport.total_seconds:
            self.end = clock.monotonic() + self.transport.total_seconds
        problem = "its address is not known yet"
        for url in self.urls(self.job):
            buffer = Buffer()
            try:
                head = ask(
                    Request(url=url, attempts=1, connect_seconds=_TURN_SECONDS), buffer, transport=self.transport
                )
                if head.status < _SERVER_ERRORS:
                    require_found(head, url)
                    return bytes(buffer.data)
                problem = f"answer {head.status} {head.reason}"
            except NotFoundError:
                return None
            except UnreachableError as error:
                problem = str(error)
        if self.end is not None and clock.monotonic() >= self.end:
            raise NetworkError(f"unable to fetch resource in time: {problem}")
        raise NotYetError


def won(job: Job, contenders: Sequence[Contender], *, within_seconds: float = 0.0) -> bytes | None:
    """The config of the first of ``contenders`` that has an answer; none if that is that there is none.

    None too if all gave up, or if the time, unlimited where it is 0, is over.
    """
    left = list(contenders)
    names = " or ".join(contender.name for contender in left)
    patience = Patience(names, clock=job.machine.clock, log=job.log, total_seconds=within_seconds)
    while left:
        for contender in tuple(left):
            try:
                data = contender.turn()
            except NotYetError:
                continue
            except (FetchError, NetworkError) as error:
                job.log.warning(f"failed to fetch config from {contender.name}: {error}")
                left.remove(contender)
            else:
                job.log.debug(f"got configuration from: {contender.name}")
                return data
        if left and patience.is_over:
            job.log.info(f"{names} was not available in time. Continuing without a config...")
            return None
        if left:
            patience.pause(POLL_SECONDS)
    job.log.info("couldn't fetch config")
    return None
