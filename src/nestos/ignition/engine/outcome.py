"""Telling a server how provisioning went: a small JSON document, sent once, that never makes a stage fail.

The URL is the kernel argument ``ignition.report.url``, else the first line of a file ``report.url`` in one of the
folders of the image's configs. It is sent when a stage failed, and when the files stage, the last that can fail on
every node, succeeded.
"""

from __future__ import annotations

import json

from nestos import __version__
from nestos.base.errors import NestosError
from nestos.ignition.engine.acquire import command_line_value
from nestos.ignition.engine.fetchers.http import Buffer, Request, ask
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.transport import FetchError, Transport, shown

WORD = "ignition.report.url"
FILE = "report.url"
LAST_STAGE = "files"
_PATIENCE_SECONDS = 10.0
_FIRST_BAD_STATUS = 300


def url(job: Job) -> str:
    """Where to report to, or the empty string."""
    given = command_line_value(job.machine.command_line.read_text(errors="replace"), WORD)
    if given:
        return given
    for folder in job.machine.config_folders:
        path = folder / FILE
        if path.is_file():
            return next(iter(path.read_text(errors="replace").split()), "")
    return ""


def document(job: Job, *, error: str) -> dict[str, str]:
    """What is sent. ``error`` is empty after a success."""
    return {
        "status": "failure" if error else "success",
        "stage": job.settings.stage,
        "message": error,
        "platform": job.settings.platform,
        "bootId": job.machine.boot_id.read_text().strip(),
        "date": job.machine.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ignition": __version__,
    }


def tell(job: Job, *, error: str) -> None:
    """Sends the outcome of a stage if somebody wants to know it; that it cannot be sent is logged."""
    try:
        address = url(job)
        if not address or (not error and job.settings.stage != LAST_STAGE):
            return
        request = Request(
            url=address,
            method="POST",
            headers={"Content-Type": "application/json"},
            body=json.dumps(document(job, error=error)).encode(),
            attempts=1,
        )
        with job.log.operation(f"reporting to {shown(address)}"):
            head = ask(request, Buffer(), transport=Transport.of(job, total_seconds=_PATIENCE_SECONDS))
            if head.status >= _FIRST_BAD_STATUS:
                raise FetchError(f"the server answered {head.status}")
    except (NestosError, OSError, ValueError) as problem:
        job.log.warning(f"the outcome could not be reported: {problem}")
