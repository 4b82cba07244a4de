"""An installation that nobody watches: what kernel arguments and config files ask for.

Both spellings of an argument count, ``nestos.inst.*`` and the original's ``coreos.inst.*``; of two, the later. They
come after the config files, as they do in the original.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from nestos.base.errors import InputError
from nestos.host import process
from nestos.host.process import Runner
from nestos.installer import dropin, options
from nestos.installer.dropin import Value
from nestos.installer.options import Given
from nestos.slots import kargs

logger = logging.getLogger(__name__)

FOLDERS = (Path("/etc/nestos/installer.d"), Path("/etc/coreos/installer.d"))
"""Where config files are, read in the order of their names, the first folder first."""

BEFORE, AFTER = Path("/etc/nestos/installer-pre.d"), Path("/etc/nestos/installer-post.d")
"""Programs that run before and after the installation, in the order of their names."""

PREFIXES = ("nestos.inst.", "coreos.inst.")
_ARGUMENTS = {
    "install_dev": "dest-device",
    "stream": "stream",
    "image_url": "image-url",
    "ignition_url": "ignition-url",
    "platform_id": "platform",
    "save_partlabel": "save-partlabel",
    "save_partindex": "save-partindex",
    "insecure": "insecure",
    "ignition_hash": "ignition-hash",
    "insecure_ignition": "insecure-ignition",
}
_RETRIES = "10"  # five minutes; then the console says why, which a machine that tries for ever never does
_OFF = ("", "0", "no", "off", "false")
SKIP_REBOOT = "skip_reboot"

# What the live system's network was made by: the installed system's first boot needs it too.
_FORWARDED = (
    *("ip", "ifname", "rd.route", "bootdev", "BOOTIF", "rd.bootif", "nameserver", "rd.peerdns", "biosdevname", "vlan"),
    *("bond", "team", "bridge", "rd.net.timeout.carrier", "ipv6.disable", "net.ifnames", "net.naming-scheme"),
)


def from_command_line(text: str) -> Given:
    """The options that the kernel's command line gives.

    Unlike the original it takes an Ignition config over plain HTTP only where an argument says so, and fetches end.
    """
    found: dict[str, Value] = {}
    for name, value in _own(text):
        option = _ARGUMENTS.get(name)
        if option is None:
            continue
        if option.startswith("insecure"):
            found[option] = value not in _OFF
        elif option.startswith("save-"):
            found[option] = [value]
        elif option == "dest-device":
            found[option] = value if "/" in value else f"/dev/{value}"
        elif not (option == "ignition-url" and value == "skip"):
            found[option] = value
    if not found:
        return {}
    found["fetch-retries"] = _RETRIES
    if forwarded := forwarded_arguments(text):
        found["firstboot-args"] = " ".join(forwarded)
    return found


def forwarded_arguments(text: str) -> list[str]:
    """The network arguments of the live system that the first boot gets too, unless ``no_persist_ip`` forbids it."""
    words = kargs.words(text)
    if any(word in ("nestos.no_persist_ip", "coreos.no_persist_ip") for word in words):
        return []
    return [word for word in words if word.partition("=")[0] in _FORWARDED]


def skips_reboot(text: str) -> bool:
    """True if the live system is to stay up after the installation."""
    values = [value for name, value in _own(text) if name == SKIP_REBOOT]
    return bool(values) and values[-1] not in _OFF


def config_files(folders: Sequence[Path] = FOLDERS) -> list[Path]:
    """The config files there are."""
    return [path for folder in folders for path in sorted(folder.glob("*.yaml"))]


def read(files: Sequence[Path]) -> list[Given]:
    """What each config file gives. Raises ``InputError`` for one that cannot be used."""
    found = []
    for path in files:
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the config file {path}: {error}") from error
        found.append(options.checked(dropin.parse(text, source=str(path)), source=str(path)))
    return found


def is_asked(command_line: str, folders: Sequence[Path] = (*FOLDERS, BEFORE)) -> bool:
    """True if an installation is to happen: by a kernel argument, a config file, or a program that may write one."""
    return bool(from_command_line(command_line)) or any(any(folder.glob("*")) for folder in folders)


def run_scripts(folder: Path, *, runner: Runner = process.run) -> None:
    """Runs each program in ``folder``. Raises ``CommandError`` at the first that fails."""
    for path in sorted(folder.glob("*")):
        if path.is_file() and os.access(path, os.X_OK):
            done = runner([path], timeout_seconds=None)
            logger.info("%s: %s", path.name, (done.stdout + done.stderr).rstrip() or "done")


def asked(command_line: str, files: Sequence[Given]) -> Given:
    """Everything that is asked for; empty where nothing is, which means that nothing is to be installed."""
    return options.merged([*files, from_command_line(command_line)])


def _own(text: str) -> list[tuple[str, str]]:
    found = []
    for word in kargs.words(text):
        name, equals, value = word.replace('"', "").partition("=")
        for prefix in PREFIXES:
            if name.startswith(prefix):
                found.append((name.removeprefix(prefix), value if equals else "1"))
    return found
