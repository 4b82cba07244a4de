"""clevis(1): volumes that a TPM, servers on the network, or a pin of the user's own choice unlock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from nestos.base.errors import NestosError
from nestos.ignition.engine.disks.survey import Survey, execute
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.transport import Transport, fetch_bytes, shown

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Clevis, Luks

_SHARING = "sss"
_TPM_PLACE = "TPM2TOOLS_TCTI"


def _asked(wanted: Luks) -> Clevis:
    return wanted.get("clevis", {})


def is_wanted(wanted: Luks) -> bool:
    """True if the volume is to be unlocked by clevis."""
    asked = _asked(wanted)
    return bool(asked.get("custom", {}).get("pin") or asked.get("tang") or asked.get("tpm2") or asked.get("threshold"))


def pin_of(wanted: Luks) -> tuple[str, str]:
    """The name of the pin and its configuration."""
    asked = _asked(wanted)
    custom = asked.get("custom", {})
    if custom.get("pin"):
        return custom["pin"], custom.get("config", "")
    pins: dict[str, object] = {}
    servers: list[dict[str, object]] = []
    for server in asked.get("tang", []):
        entry: dict[str, object] = {"url": server["url"], "thp": server.get("thumbprint", "")}
        if server.get("advertisement"):
            entry["adv"] = json.loads(server["advertisement"])
        servers.append(entry)
    if servers or not asked.get("tpm2"):
        pins["tang"] = servers
    if asked.get("tpm2"):
        pins["tpm2"] = {}
    return _SHARING, json.dumps({"pins": pins, "t": _threshold(asked)}, separators=(",", ":"))


def _threshold(asked: Clevis) -> int:
    return asked.get("threshold", 1)


def _online(asked: Clevis) -> int:
    """How many of the pins can unlock the volume now: servers with an advertisement need not be reachable yet."""
    servers = [server for server in asked.get("tang", []) if not server.get("advertisement")]
    return len(servers) + bool(asked.get("tpm2"))


def told(wanted: Luks) -> str:
    """What unlocks the volume, for a sentence."""
    asked = _asked(wanted)
    if asked.get("custom", {}).get("pin"):
        return f"the pin {asked['custom']['pin']}"
    parts = [f"the server {shown(server['url'])}" for server in asked.get("tang", [])]
    parts += ["the TPM"] if asked.get("tpm2") else []
    return f"{_threshold(asked)} of {', '.join(parts) or 'nothing'}"


def survey(plan: Survey, key: str, wanted: Luks, *, transport: Transport) -> None:
    """Notes what would keep clevis from binding the volume."""
    if not is_wanted(wanted):
        return
    asked, device = _asked(wanted), wanted.get("device", "")
    plan.need("clevis", f"{key}.clevis")
    is_custom = bool(asked.get("custom", {}).get("pin"))
    count = len(asked.get("tang", [])) + bool(asked.get("tpm2"))
    if not is_custom and _threshold(asked) > count:
        hint = "lower the threshold, or add tang or tpm2"
        plan.problem(f"{key}.clevis.threshold", device, f"{_threshold(asked)} pins are asked of {count}", hint=hint)
    if asked.get("tpm2") and not _environment(plan.job) and not any((plan.job.machine.top / "dev").glob("tpm*")):
        hint = "enable it in the firmware, or leave clevis.tpm2 out"
        plan.problem(f"{key}.clevis.tpm2", device, "this machine shows no TPM 2", hint=hint)
    for index, server in enumerate(asked.get("tang", [])):
        if not server.get("advertisement"):
            with plan.noting(f"{key}.clevis.tang.{index}.url", device):
                _ask(server["url"], transport=transport)


def _ask(url: str, *, transport: Transport) -> None:
    """Waits for a server with the patience of our fetching, which clevis has not."""
    base, query, parameters = url.partition("?")
    try:
        fetch_bytes({"source": f"{base.rstrip('/')}/adv{query}{parameters}"}, transport=transport)
    except NestosError as error:
        raise NestosError(f"the tang server {shown(url)} does not answer: {error}") from error


def _environment(job: Job) -> dict[str, str]:
    """How clevis finds a TPM that is not at the usual place."""
    return {name: job.machine.environment[name] for name in (_TPM_PLACE,) if name in job.machine.environment}


def bind(job: Job, wanted: Luks, device: Path, key_file: Path) -> None:
    """Binds the opened volume, and opens it once more by what it is bound to, if that can be expected to work."""
    pin, config = pin_of(wanted)
    asked = _asked(wanted)
    secrets = (config,) if pin != _SHARING or asked.get("custom", {}).get("pin") else ()
    execute(
        job,
        ["clevis", "luks", "bind", "-f", "-k", str(key_file), "-d", str(device), pin, config],
        secrets=secrets,
        environment=_environment(job),
    )
    if _online(asked) >= _threshold(asked):
        execute(job, ["cryptsetup", "luksClose", wanted["name"]])
        execute(
            job, ["clevis", "luks", "unlock", "-d", str(device), "-n", wanted["name"]], environment=_environment(job)
        )
