"""Units and drop-ins, masks, and the preset that enables and disables units on the first real boot."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

from nestos.ignition.engine.files.place import make_parents, remove, write
from nestos.ignition.engine.job import Job
from nestos.ignition.spec.model import Systemd, Unit
from nestos.ignition.spec.rules.systemd import UNIT_FOLDER

PRESET = "/etc/systemd/system-preset/20-ignition.preset"
_MODE = 0o644
_MASKED = "/dev/null"


def write_units(job: Job, systemd: Systemd) -> None:
    """Writes every unit and its drop-ins, masks and unmasks, and adds to the preset."""
    units = systemd.get("units", [])
    for unit in units:
        _write_unit(job, unit)
    for unit in units:
        if unit.get("enabled") is False:
            _remove_enablement(job, unit["name"])
    lines = preset_lines(units)
    if lines:
        with job.log.operation(f"writing the preset {PRESET}"):
            _add_to_preset(job, lines)


def _write_unit(job: Job, unit: Unit) -> None:
    name = unit["name"]
    path = job.root.join(UNIT_FOLDER + name, follow_last=False)
    owners = job.machine.owners
    if unit.get("contents"):
        with job.log.operation(f'writing unit "{name}"'):
            write(path, unit["contents"].encode(), mode=_MODE, owners=owners)
    for dropin in unit.get("dropins", []):
        if "contents" not in dropin:
            continue
        with job.log.operation(f'writing drop-in "{dropin["name"]}" of "{name}"'):
            beside = job.root.join(f"{UNIT_FOLDER}{name}.d/{dropin['name']}", follow_last=False)
            write(beside, dropin["contents"].encode(), mode=_MODE, owners=owners)
    if unit.get("mask"):
        with job.log.operation(f'masking unit "{name}"'):
            make_parents(path, owners=owners)
            remove(path)
            path.symlink_to(_MASKED)
    elif unit.get("mask") is False and _is_masked(path):
        with job.log.operation(f'unmasking unit "{name}"'):
            path.unlink()


def _is_masked(path: Path) -> bool:
    return path.is_symlink() and str(path.readlink()) == _MASKED


def _remove_enablement(job: Job, name: str) -> None:
    """Removes the links that enable a unit. A preset alone would leave those that the image ships."""
    folder = job.root.join(UNIT_FOLDER)
    for kind in ("wants", "requires", "upholds"):
        for path in sorted(folder.glob(f"*.{kind}/*")):
            if path.name == name and path.is_symlink():
                with job.log.operation(f'removing {path.relative_to(folder)}, which enables "{name}"'):
                    path.unlink()
    for path in sorted(folder.glob("*")):
        is_alias = path.name != name and stat.S_ISLNK(path.lstat().st_mode) and path.readlink().name == name
        if is_alias:
            with job.log.operation(f'removing {path.name}, an alias of "{name}"'):
                path.unlink()


def preset_lines(units: Sequence[Unit]) -> list[str]:
    """The lines of systemd.preset(5) for these units, in order; instances of one template share a line."""
    plain: set[str] = set()
    instances: dict[tuple[str, str], list[str]] = {}
    for unit in units:
        if "enabled" not in unit:
            continue
        verb = "enable" if unit["enabled"] else "disable"
        base, at, rest = unit["name"].partition("@")
        instance, _, suffix = rest.rpartition(".")
        if at and instance:
            instances.setdefault((verb, f"{base}@.{suffix}"), []).append(instance)
        else:
            plain.add(f"{verb} {unit['name']}")
    shared = {f"{verb} {template} {' '.join(names)}" for (verb, template), names in instances.items()}
    return sorted(plain | shared)


def _add_to_preset(job: Job, lines: Sequence[str]) -> None:
    path = job.root.join(PRESET)
    present = path.read_text().splitlines() if path.exists() else []
    added = [line for line in lines if line not in present]
    text = "".join(f"{line}\n" for line in [*present, *added])
    write(path, text.encode(), mode=_MODE, owners=job.machine.owners)
