"""From the options of ``iso customize`` and ``pxe customize`` to what is embedded. Pure but for the files they name.

One Ignition config for the live system carries everything: the config of the installed system as a file, the options of
the installer as one more config file, programs to run before and after.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nestos.base.errors import InputError
from nestos.installer import dropin, ignition, options, unattended
from nestos.installer.media import embedded
from nestos.installer.media.embedded import Files
from nestos.wire.live_iso import CONFIG, NETWORK

_VERSION = "3.3.0"
"""Of the configs made here: the first that has everything they use."""
_DEST = "/etc/nestos/dest.ign"
_OWN_CONFIG = "customize.yaml"


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What was asked for. Any of the first seven lets the live system install without a person."""

    dest_ignition: Sequence[Path] = ()
    dest_device: str = ""
    dest_console: Sequence[str] = ()
    dest_karg_append: Sequence[str] = ()
    dest_karg_delete: Sequence[str] = ()
    installer_config: Sequence[Path] = ()
    pre_install: Sequence[Path] = ()
    post_install: Sequence[Path] = ()
    network: Sequence[Path] = ()
    ignition_ca: Sequence[Path] = ()
    live_ignition: Sequence[Path] = ()

    @property
    def installs(self) -> bool:
        """True if the live system installs by itself."""
        return bool(self._own() or self.dest_ignition or self.installer_config or self.pre_install)

    def _own(self) -> dict[str, str | Sequence[str]]:
        given: dict[str, str | Sequence[str]] = {
            "dest-device": self.dest_device,
            "console": self.dest_console,
            "append-karg": self.dest_karg_append,
            "delete-karg": self.dest_karg_delete,
        }
        return {name: value for name, value in given.items() if value}

    def installer_options(self) -> dict[str, str | Sequence[str] | bool]:
        """The options of the installer that follow; none where it does not run."""
        given: dict[str, str | Sequence[str] | bool] = dict(self._own())
        if self.dest_ignition:
            given["ignition-file"] = _DEST
        if self.network and self.installs:
            given["copy-network"] = True
        return given


def files(wishes: Wishes) -> Files:
    """What is to be embedded. Raises ``InputError`` for anything that would fail only in the live system."""
    found = {f"{NETWORK}/{name}": data for name, data in embedded.read_network(wishes.network).items()}
    config = _live_config(wishes)
    if config:
        data = json.dumps({"ignition": {"version": _VERSION}} | config, sort_keys=True).encode()
        ignition.validate(data, source="the config made of these options")
        found[CONFIG] = data
    return found


def _live_config(wishes: Wishes) -> dict[str, Any]:
    entries = []
    for number, path in enumerate(wishes.installer_config):
        text = embedded.read(path).decode(errors="replace")
        options.checked(dropin.parse(text, source=str(path)), source=str(path))
        entries.append(_file(f"{unattended.FOLDERS[0]}/{number:04}-{path.stem}.yaml", text.encode(), mode=0o600))
    if wishes.dest_ignition:
        entries.append(_file(_DEST, _dest_config(wishes), mode=0o600))
    if own := wishes.installer_options():
        options.checked(_listed(own), source="the options given")
        name = f"{unattended.FOLDERS[0]}/{len(wishes.installer_config):04}-{_OWN_CONFIG}"
        entries.append(_file(name, _yaml(own), mode=0o600))
    for folder, scripts in ((unattended.BEFORE, wishes.pre_install), (unattended.AFTER, wishes.post_install)):
        for number, path in enumerate(scripts):
            entries.append(_file(f"{folder}/{number:04}-{path.name}", embedded.read(path), mode=0o700))
    config: dict[str, Any] = {"storage": {"files": entries}} if entries else {}
    header = _header(wishes.live_ignition, wishes.ignition_ca)
    return config | ({"ignition": {"version": _VERSION} | header} if header else {})


def _dest_config(wishes: Wishes) -> bytes:
    """The one config that was given, as it is; else one that merges them."""
    if len(wishes.dest_ignition) == 1 and not wishes.ignition_ca:
        return _config(wishes.dest_ignition[0])
    header = {"version": _VERSION} | _header(wishes.dest_ignition, wishes.ignition_ca)
    return json.dumps({"ignition": header}, sort_keys=True).encode()


def _header(configs: Sequence[Path], authorities: Sequence[Path]) -> dict[str, Any]:
    header: dict[str, Any] = {}
    if configs:
        header["config"] = {"merge": [{"source": _data_url(_config(path))} for path in configs]}
    if authorities:
        listed = [{"source": _data_url(embedded.read(path))} for path in authorities]
        header["security"] = {"tls": {"certificateAuthorities": listed}}
    return header


def _config(path: Path) -> bytes:
    data = embedded.read(path)
    ignition.validate(data, source=str(path))
    return data


def _file(path: str, data: bytes, *, mode: int) -> dict[str, Any]:
    return {"path": path, "mode": mode, "overwrite": True, "contents": {"source": _data_url(data)}}


def _data_url(data: bytes) -> str:
    return f"data:;base64,{base64.b64encode(data).decode()}"


def _listed(given: Mapping[str, str | Sequence[str] | bool]) -> dict[str, dropin.Value]:
    return {name: value if isinstance(value, str | bool) else list(value) for name, value in given.items()}


def _yaml(given: Mapping[str, str | Sequence[str] | bool]) -> bytes:
    """A config file of the installer; JSON's texts and lists are YAML's."""
    for name, value in given.items():
        if isinstance(value, str) and "\n" in value:
            raise InputError(f"--{name} has several lines")
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in _listed(given).items()).encode()
