"""Which units start is decided by presets alone: the manifest's list, then the base system's, then nothing.

The enablement that package scripts left behind is removed first, so that it cannot depend on their order.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from nestos.base.errors import InputError
from nestos.base.report import nearest
from nestos.host.process import Runner

# Never wanted on a node, whatever packages say.
MASKED = (
    # The cache of the release is in the tree and its libraries cannot change; 23 s of an emulated first boot.
    "etc/systemd/system/ldconfig.service",
    # Would mount the boot and EFI partitions for everyone; a transaction mounts them for itself and only then.
    "etc/systemd/system-generators/systemd-gpt-auto-generator",
    # Asks questions on the console of a first boot.
    "etc/systemd/system/systemd-firstboot.service",
)


def settle(tree: Path, *, units: Sequence[str], default_target: str, inside: Runner) -> None:
    """Enables ``units`` (a leading ``-`` disables one that the base system enables) and sets the default target.

    ``inside`` runs programs with the tree as their root. Raises ``InputError`` naming every unit to enable that the
    tree does not have: a preset for it would be passed over in silence.
    """
    _check_names(tree, units)
    for manager in ("system", "user"):
        home = tree / "etc/systemd" / manager
        if home.exists():
            for entry in home.iterdir():
                if entry.is_dir() and entry.suffix in (".wants", ".requires", ".upholds"):
                    shutil.rmtree(entry)
                elif entry.is_symlink():
                    entry.unlink()
    lines = [f"disable {unit[1:]}" if unit.startswith("-") else f"enable {unit}" for unit in units]
    # Behind 20-ignition.preset, so that a node's config has the last word, and before the distribution's own.
    preset = tree / "usr/lib/systemd/system-preset/30-nestos-manifest.preset"
    preset.parent.mkdir(parents=True, exist_ok=True)
    preset.write_text("# From the manifest's units.\n" + "".join(line + "\n" for line in lines))
    offline = {"SYSTEMD_OFFLINE": "1"}
    inside(["systemctl", "preset-all"], environment=offline)
    inside(["systemctl", "--global", "preset-all"], environment=offline)
    (tree / "etc/systemd/system/default.target").unlink(missing_ok=True)
    default = tree / "usr/lib/systemd/system/default.target"
    default.unlink(missing_ok=True)
    default.symlink_to(default_target)
    for name in MASKED:
        place = tree / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to("/dev/null")


def _check_names(tree: Path, units: Sequence[str]) -> None:
    folders = [tree / top / "systemd" / manager for top in ("usr/lib", "etc") for manager in ("system", "user")]
    known = {path.name for folder in folders if folder.is_dir() for path in folder.iterdir()}
    # An instance, getty@tty1.service, is enabled by its template, getty@.service.
    missing = [
        unit for unit in units if not unit.startswith("-") and not known & {unit, re.sub("@.*(?=[.])", "@", unit)}
    ]
    if missing:
        named = [f"  {unit}{nearest(unit, known)}" for unit in missing]
        raise InputError("units: no package of the tree brings these:\n" + "\n".join(named))
