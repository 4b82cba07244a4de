"""Units and drop-ins, masks, and the preset that enables and disables units on the first real boot."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nestos.base.errors import CommandError
from nestos.ignition.engine.files.place import Places, remove, status
from nestos.ignition.engine.job import Job

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Systemd, Unit

UNIT_FOLDER = "/etc/systemd/system/"
PRESET = "/etc/systemd/system-preset/20-ignition.preset"
_MODE = 0o644
_MASKED = "/dev/null"


def write_units(job: Job, systemd: Systemd, *, places: Places) -> None:
    """Writes every unit and its drop-ins, masks and unmasks, and adds to the preset."""
    units = systemd.get("units", [])
    for unit in units:
        _write_unit(job, unit, places)
    lines = [line for line in preset_lines(units) if not line.startswith("disable ") or _disable(job, line)]
    if lines:
        with job.log.operation(f"writing the preset {PRESET}"):
            _add_to_preset(lines, places)


def _write_unit(job: Job, unit: Unit, places: Places) -> None:
    name = unit["name"]
    for dropin in unit.get("dropins", []):
        if "contents" in dropin:
            with job.log.operation(f'writing drop-in "{dropin["name"]}" of "{name}"'):
                beside = places.find(f"{UNIT_FOLDER}{name}.d/{dropin['name']}")
                places.write(beside, dropin["contents"].encode(), mode=_MODE)
    path = places.find(UNIT_FOLDER + name)
    if unit.get("contents"):
        with job.log.operation(f'writing unit "{name}"'):
            places.write(path, unit["contents"].encode(), mode=_MODE)
    if unit.get("mask"):
        with job.log.operation(f'masking unit "{name}"'):
            places.prepare(path)
            remove(path)
            os.symlink(_MASKED, path)
    elif unit.get("mask") is False and os.path.islink(path) and os.readlink(path) == _MASKED:
        with job.log.operation(f'unmasking unit "{name}"'):
            os.unlink(path)


def preset_lines(units: Sequence[Unit]) -> list[str]:
    """The lines of systemd.preset(5) for these units, by the names of units.

    Instances of one template that are enabled share a line. One that is disabled has its own: what follows the name is
    a list of instances after ``enable`` only.
    """
    instances: dict[tuple[str, str], list[str]] = {}
    for unit in units:
        if "enabled" not in unit:
            continue
        verb = "enable" if unit["enabled"] else "disable"
        base, at, rest = unit["name"].partition("@")
        if verb == "disable":
            base, at = unit["name"], ""
        instance, _, suffix = rest.rpartition(".")
        named = instances.setdefault((f"{base}@.{suffix}" if at else base, verb), [])
        if at:
            named.append(instance)
    ordered = sorted(instances.items(), key=lambda item: f"{item[0][0]}-{item[0][1]}d")
    return [" ".join([verb, name, *named]) for (name, verb), named in ordered]


def _disable(job: Job, line: str) -> bool:
    """Removes the links that enable a unit, because a preset alone would leave those that the image ships.

    False if nothing enables the unit in the root, or there is none: then a line in the preset has no use.
    """
    unit = line.removeprefix("disable ")
    command = ["systemctl", f"--root={job.root.path}"]
    try:
        job.machine.runner([*command, "is-enabled", unit])
    except CommandError:
        return False
    with job.log.operation(f'removing enablement symlink(s) for "{unit}"'):
        job.machine.runner([*command, "disable", unit])
    return True


def _add_to_preset(lines: Sequence[str], places: Places) -> None:
    path = places.find(PRESET)
    present = Path(path).read_text().splitlines() if status(path) is not None else []
    places.prepare(path)
    with open(path, "a") as file:  # as the original does: what the image says there stays in front
        file.writelines(f"{line}\n" for line in lines if line not in present)
