"""What an archive for the initramfs holds: an Ignition config and network configuration. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from nestos.base.errors import InputError, StateError
from nestos.installer import ignition
from nestos.wire.live_iso import CONFIG, NETWORK

NETWORK_SUFFIXES = (".network", ".netdev", ".link")
Files = Mapping[str, bytes]
_FORCE = "give --force to overwrite it"


def with_config(files: Files, data: bytes, *, source: str, force: bool) -> Files:
    """``files`` with the Ignition config ``data``. Raises ``InputError`` for one that no boot would accept."""
    if CONFIG in files and not force:
        raise StateError("an Ignition config is embedded already", hint=_FORCE)
    ignition.validate(data, source=source)
    return {**files, CONFIG: data}


def config(files: Files) -> bytes:
    """The embedded config. Raises ``StateError`` where there is none."""
    if CONFIG not in files:
        raise StateError("no Ignition config is embedded")
    return files[CONFIG]


def without_config(files: Files) -> Files:
    """``files`` without a config."""
    return {name: data for name, data in files.items() if name != CONFIG}


def with_network(files: Files, given: Files, *, force: bool) -> Files:
    """``files`` with the network configuration ``given`` (name to content) in the place of what was."""
    if network(files) and not force:
        raise StateError("network configuration is embedded already", hint=_FORCE)
    return {**without_network(files), **{f"{NETWORK}/{name}": data for name, data in given.items()}}


def network(files: Files) -> Files:
    """The embedded network configuration: name to content."""
    return {
        PurePosixPath(name).name: data for name, data in files.items() if str(PurePosixPath(name).parent) == NETWORK
    }


def without_network(files: Files) -> Files:
    """``files`` without network configuration."""
    return {name: data for name, data in files.items() if str(PurePosixPath(name).parent) != NETWORK}


def read_network(paths: Sequence[Path]) -> Files:
    """systemd-networkd's files at ``paths``. Raises ``InputError`` for others, and for two of one name."""
    found: dict[str, bytes] = {}
    for path in paths:
        if path.suffix not in NETWORK_SUFFIXES:
            raise InputError(
                f"{path} is no network configuration of this system",
                hint="it has systemd-networkd, whose files end in .network, .netdev or .link",
            )
        if path.name in found:
            raise InputError(f"two files are called {path.name}")
        found[path.name] = read(path)
    return found


def read(path: Path) -> bytes:
    """A file that an option names."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
