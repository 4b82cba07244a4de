"""RAID arrays, made by mdadm(8). An array is never kept: what was on its devices is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nestos.ignition.engine.disks import devices, leftovers
from nestos.ignition.engine.disks.filesystems import comes_later
from nestos.ignition.engine.disks.survey import Survey, execute
from nestos.ignition.engine.job import Job

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Raid

LEAST_DEVICES: Mapping[str, int] = {
    **dict.fromkeys(("raid4", "4", "raid5", "5", "raid10", "10"), 2),
    **dict.fromkeys(("raid6", "6"), 4),
}
"""How many devices mdadm asks of a level at least, spares not counted; one of the others."""


def device_of(array: Raid) -> str:
    """Where the array appears."""
    name = array["name"]
    return name if name.startswith("/") else f"/dev/md/{name}"


def command(array: Raid, members: Sequence[Path]) -> list[str | Path]:
    """What makes ``array`` of ``members``, the user's own options last but for the members."""
    spares = array.get("spares", 0)
    words = [
        "mdadm",
        "--create",
        array["name"],
        "--force",
        "--run",
        "--homehost",
        "any",
        "--level",
        array.get("level", ""),
        "--raid-devices",
        str(len(members) - spares),
    ]
    if spares:
        words += ["--spare-devices", str(spares)]
    return [*words, *array.get("options", []), *members]


def survey(plan: Survey, arrays: Sequence[Raid]) -> None:
    """Plans every array."""
    for index, array in enumerate(arrays):
        key = f"$.storage.raid.{index}"
        plan.need("mdadm", key)
        _check_count(plan, key, array)
        _check_members(plan, key, array)
        told = f"the array {array['name']} ({array.get('level')}) is made of {', '.join(array.get('devices', []))}"
        plan.step(told, act=_maker(plan.job, key, array))


def _check_count(plan: Survey, key: str, array: Raid) -> None:
    members, spares = len(array.get("devices", [])), array.get("spares", 0)
    least = LEAST_DEVICES.get(array.get("level", ""), 1)
    if members - spares < least:
        plan.problem(
            f"{key}.devices",
            array["name"],
            f"{members} devices less {spares} spares are too few for {array.get('level')}, which needs {least}",
            hint="add devices, or choose another level",
        )


def _check_members(plan: Survey, key: str, array: Raid) -> None:
    now = [name for name in array.get("devices", []) if not comes_later(plan, name)]
    if now:
        with plan.noting(f"{key}.devices", array["name"]):
            devices.wait(plan.job, now, keys=[f"{key}.devices"] * len(now))
    for name in now:
        member = devices.real(name)
        use = devices.use_of(plan.job, member) if member else ""
        if use:
            plan.problem(f"{key}.devices", name, f"it is {use}", hint="name a device that is not in use")
    plan.rewritten |= {member for name in array.get("devices", []) if (member := devices.real(name))}


def _maker(job: Job, key: str, array: Raid) -> Callable[[], None]:
    names = array.get("devices", [])

    def make() -> None:
        devices.wait(job, names, keys=[f"{key}.devices"] * len(names))
        leftovers.note(job, names)
        execute(job, command(array, [devices.resolved(name) for name in names]))
        devices.wait(job, [device_of(array)], keys=[f"{key}.name"])

    return make
