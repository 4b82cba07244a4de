"""The engine's command line, read as Go's ``flag`` package reads it: ``-name value``, ``--name=value``, and mixed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nestos.base.errors import NestosError
from nestos.ignition.engine.parts import PROVIDERS, STAGES

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


class UsageError(NestosError):
    """The command line cannot be understood; ``exit_code`` 0 means that help was asked for."""

    kind = "usage"
    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What one run of the engine is to do.

    ``fetch_timeout_seconds``: for the first config, before any config could say otherwise; 0 is unlimited.
    ``dry_run``: only tell what the stage would do.
    """

    platform: str
    stage: str
    root: Path = Path("/")
    config_cache: Path = Path("/run/ignition.json")
    neednet: Path = Path("/run/ignition/neednet")
    state_file: Path = Path("/run/ignition/state")
    fetch_timeout_seconds: float = 120.0
    log_to_stdout: bool = False
    version: bool = False
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True)
class _Flag:
    """A flag of the command line; without ``value`` it is a switch."""

    help: str
    value: str = "string"
    default: str = ""


_FLAGS = {
    "config-cache": _Flag(help="where to cache the config", default="/run/ignition.json"),
    "dry-run": _Flag(help="print what the stage would do, and do nothing", value=""),
    "fetch-timeout": _Flag(help="initial duration for which to wait for config", value="duration", default="2m0s"),
    "log-to-stdout": _Flag(help="log to stdout instead of the system log when set", value=""),
    "neednet": _Flag(
        help="flag file to write from fetch-offline if networking is needed", default="/run/ignition/neednet"
    ),
    "platform": _Flag(help=f"current platform. [{' '.join(sorted(PROVIDERS))}]", value="value"),
    "root": _Flag(help="root of the filesystem", default="/"),
    "stage": _Flag(help=f"execution stage. [{' '.join(sorted(STAGES))}]", value="value"),
    "state-file": _Flag(help="where to store internal state", default="/run/ignition/state"),
    "version": _Flag(help="print the version and exit", value=""),
}

_EXAMPLES = """
Examples:
  ignition --platform=qemu --stage=fetch-offline --root=/sysroot
  ignition --platform=file --stage=files --root=/mnt --config-cache=/tmp/config.json --log-to-stdout
  ignition --platform=qemu --stage=disks --dry-run
  ignition apply --root=/mnt node.ign
"""


def usage() -> str:
    """What ``--help`` prints."""
    lines = ["Usage of ignition:"]
    for name, flag in sorted(_FLAGS.items()):
        default = f' (default "{flag.default}")' if flag.default else ""
        lines.append(f"  -{name} {flag.value}".rstrip())
        lines.append(f"    \t{flag.help}{default}")
    return "\n".join(lines) + "\n" + _EXAMPLES


def _words(arguments: Sequence[str]) -> dict[str, str]:
    """The flags in ``arguments`` with their values; what follows the first plain word is ignored, as in Go."""
    given: dict[str, str] = {}
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] not in ("-", "--"):
        word = rest.pop(0)
        name, equals, value = word.removeprefix("-").removeprefix("-").partition("=")
        if name in ("h", "help"):
            raise UsageError(usage(), kind="help")
        flag = _FLAGS.get(name)
        if flag is None:
            raise UsageError(f"flag provided but not defined: -{name}\n{usage()}")
        if not flag.value:
            value = value if equals else "true"
            if value not in (*_TRUE, *_FALSE):
                raise UsageError(f'invalid boolean value "{value}" for -{name}\n{usage()}')
        elif not equals:
            if not rest:
                raise UsageError(f"flag needs an argument: -{name}\n{usage()}")
            value = rest.pop(0)
        given[name] = value
    return given


def seconds(text: str) -> float:
    """The seconds that a Go duration such as ``2m0s`` or ``300ms`` stands for. Raises ``UsageError``."""
    parts = re.findall(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|us|µs|ns|s)", text)
    if text == "0":
        return 0.0
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UsageError(f'invalid value "{text}" for flag -fetch-timeout: not a duration such as 2m0s\n{usage()}')
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def parse(arguments: Sequence[str]) -> Settings:
    """The settings that ``arguments`` (without the program's name) give. Raises ``UsageError``."""
    given = _words(arguments)
    version = given.get("version") in _TRUE
    for name, known in (("platform", PROVIDERS), ("stage", STAGES)):
        value = given.get(name)
        if value is None and not version:
            raise UsageError(f"'--{name}' must be provided")
        if value is not None and value not in known:
            sentence = f'invalid value "{value}" for flag -{name}: {value} is not a valid {name}'
            raise UsageError(f"{sentence}\n{usage()}")
    paths = {"root": "root", "config-cache": "config_cache", "neednet": "neednet", "state-file": "state_file"}
    return Settings(
        platform=given.get("platform", ""),
        stage=given.get("stage", ""),
        fetch_timeout_seconds=seconds(given.get("fetch-timeout", "2m0s")),
        log_to_stdout=given.get("log-to-stdout") in _TRUE,
        version=version,
        dry_run=given.get("dry-run") in _TRUE,
        **{field: Path(given[flag]) for flag, field in paths.items() if flag in given},
    )
