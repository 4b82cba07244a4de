"""OpenStack: the config is the user data, on a config drive or from the metadata service, whichever is first there."""

from __future__ import annotations

from collections.abc import Sequence

from nestos.ignition.engine.job import Job
from nestos.ignition.engine.providers.sources.drive import OPENSTACK_FILE, Drive
from nestos.ignition.engine.providers.sources.metadata import require_network
from nestos.ignition.engine.providers.sources.race import DriveContender, ServiceContender, won
from nestos.ignition.engine.transport import Transport

_IPV4 = "http://169.254.169.254"
_IPV6 = "http://[fe80::a9fe:a9fe%25{link}]"
_IPV6_ADDRESSES = "/proc/net/if_inet6"


def _links_with_ipv6(job: Job) -> list[str]:
    """The names of the network interfaces that have an IPv6 address by now."""
    try:
        lines = job.machine.at(_IPV6_ADDRESSES).read_text().splitlines()
    except OSError:
        return []
    names = [line.split()[-1] for line in lines if line.strip()]
    return [name for name in dict.fromkeys(names) if name != "lo"]


def _urls(job: Job) -> Sequence[str]:
    return [_IPV4 + OPENSTACK_FILE, *(_IPV6.format(link=link) + OPENSTACK_FILE for link in _links_with_ipv6(job))]


def fetch_config(job: Job, *, transport: Transport) -> bytes | None:
    """The user data."""
    require_network(transport, _IPV4)
    drives = [
        DriveContender(job=job, drive=Drive(label=label, file=OPENSTACK_FILE)) for label in ("config-2", "CONFIG-2")
    ]
    return won(job, [*drives, ServiceContender(job=job, transport=transport, urls=_urls)])
