"""The Ignition config a machine of the lab gets: the person's own, with the lab's SSH key added.

The key goes into the config itself rather than around it, so that an error in the config keeps its place.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from nestos import butane
from nestos.base import durable
from nestos.base.errors import InputError
from nestos.base.report import Report
from nestos.ignition.spec.parse import parse
from nestos.lab.spec import IGNITION_CONFIG

EMPTY: dict[str, Any] = {"ignition": {"version": "3.4.0"}}


def from_butane(path: Path, *, strict: bool = False) -> dict[str, Any]:
    """The Ignition config of the Butane file at ``path``; local files are read beside it.

    Raises ``InputError`` also for what only Ignition would say, so that no machine is booted to hear it.
    """
    text = _text(path)
    found = butane.translate(text, files_dir=path.parent, strict=strict, source=str(path), validate=_ignition_says)
    return found.require()


def from_ignition(path: Path) -> dict[str, Any]:
    """The Ignition config at ``path``, not checked beyond being a JSON object. Raises ``InputError``."""
    try:
        config = json.loads(_text(path))
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}", hint="is it a Butane file? then use --butane") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} is not a JSON object")
    return config


def with_key(config: dict[str, Any], *, key: str, user: str = "nest") -> dict[str, Any]:
    """``config`` with ``key`` among the authorized keys of ``user``.

    A config whose ``passwd`` has not the shape of the specification is returned as it is: Ignition will say why.
    """
    changed = copy.deepcopy(config)
    passwd = changed.setdefault("passwd", {})
    users = passwd.setdefault("users", []) if isinstance(passwd, dict) else None
    if not isinstance(users, list) or not all(isinstance(item, dict) for item in users):
        return config
    entry = next((item for item in users if item.get("name") == user), None)
    if entry is None:
        entry = {"name": user}
        users.append(entry)
    keys = entry.setdefault("sshAuthorizedKeys", [])
    if not isinstance(keys, list):
        return config
    if key not in keys:
        keys.append(key)
    return changed


def fw_cfg(config: dict[str, Any] | str, *, folder: Path) -> tuple[str, Path]:
    """Writes the config into ``folder``; returns the fw_cfg entry for ``MachineSpec``. Text is written as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "config.ign"
    durable.write_text(file, config if isinstance(config, str) else json.dumps(config, indent=1), mode=0o600)
    return IGNITION_CONFIG, file


def _ignition_says(config: dict[str, Any]) -> Report:
    return parse(json.dumps(config).encode()).report


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
