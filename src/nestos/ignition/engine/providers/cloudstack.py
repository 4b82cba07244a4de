"""CloudStack: the config is the user data, on a config drive or from the DHCP server, whichever is first there."""

from __future__ import annotations

from collections.abc import Sequence

from nestos.ignition.engine.job import Job
from nestos.ignition.engine.providers.sources.drive import Drive
from nestos.ignition.engine.providers.sources.metadata import require_network
from nestos.ignition.engine.providers.sources.race import DriveContender, ServiceContender, won
from nestos.ignition.engine.transport import Transport

_FILE = "/cloudstack/userdata/user_data.txt"
_LEASES = "/run/systemd/netif/leases"
_SERVER = "SERVER_ADDRESS="


def _urls(job: Job) -> Sequence[str]:
    """The service on the server of the first lease, once there is one."""
    folder = job.machine.at(_LEASES)
    leases = sorted(folder.iterdir(), key=lambda path: (len(path.name), path.name)) if folder.is_dir() else []
    for lease in leases:
        for line in lease.read_text(errors="replace").splitlines():
            if line.startswith(_SERVER):
                address = line.removeprefix(_SERVER).strip()
                return [
                    f"http://[{address}]/latest/user-data" if ":" in address else f"http://{address}/latest/user-data"
                ]
    return []


def fetch_config(job: Job, *, transport: Transport) -> bytes | None:
    """The user data."""
    require_network(transport, "http://dhcp-server/latest/user-data")
    drives = [DriveContender(job=job, drive=Drive(label=label, file=_FILE)) for label in ("config-2", "CONFIG-2")]
    return won(job, [*drives, ServiceContender(job=job, transport=transport, urls=_urls)])
