"""The MachineConfig of OpenShift: an Ignition config in the form that its Machine Config Operator takes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nestos.base.report import Finding, Severity
from nestos.butane.grub import FCOS_USERS_FILE
from nestos.butane.place import Path, snake_path
from nestos.butane.schema import ListOf, Scalar, Table, TextMap, key
from nestos.butane.site import Check, Object, Run

DUPLICATE = "duplicate entry defined"
ELIDED = "field ignored in raw mode"
NO_NAME = "metadata.name is required"
NO_ROLE = "machineconfiguration.openshift.io/role label is required"
BAD_KERNEL = 'must be empty, "default", or "realtime"'
NO_BTRFS = "btrfs is not supported in this spec version"
NO_NONE = 'format "none" is not supported in this spec version'
NO_OTHER_SCHEME = "file contents source must be data URL in this spec version"
NO_SPECIAL_MODE = "special mode bits are not supported in this spec version"
NO_OTHER_USER = 'users other than "core" are not supported in this spec version'
CEX_WITHOUT_KEY = (
    "'rd.luks.key=/etc/luks/cex.key' must be set as kernel argument when CEX is enabled for the boot device"
)

SPEC: Path = ("spec", "config")
"""Where the Ignition config is in a MachineConfig."""

_ROLE = "machineconfiguration.openshift.io/role"
_CEX_KEY = "rd.luks.key=/etc/luks/cex.key"
_FIPS_CIPHER = [
    "--cipher",
    "aes-cbc-essiv:sha256",
]  # FIPS 140-2 does not allow the default mode XTS
_SETTINGS = ("kernel_arguments", "extensions", "fips", "kernel_type")
_UNREADABLE = re.compile(r"^:|[\x00-\x1f\x7f]|%(?![0-9A-Fa-f]{2})")
_BAD_HOST = re.compile(r"[^/?#]*://(?:[^/?#]*@)?(?!(?:\[[^\]/?#]*\]|[^:\[\]/?# ]*)(?::[0-9]*)?(?:[/?#]|$))")


@dataclass(frozen=True, kw_only=True)
class Operator:
    """What a version of the operator does and does not support."""

    sets_cipher: bool
    """Whether volumes get a cipher that FIPS allows."""
    refuses_special_modes: bool
    refuses_none: bool
    moves_grub_users: bool
    """Whether the file with GRUB's users is written whole, since the operator cannot append."""


def check_metadata(check: Check) -> None:
    """Rule of ``metadata``: name and role."""
    if not check.values.get("name"):
        check.error(NO_NAME, "name")
    if not check.values.get("labels", {}).get(_ROLE):
        check.error(NO_ROLE, "labels")


def check_settings(check: Check) -> None:
    """Rule of ``openshift``: the kernel is one that there is."""
    if check.values.get("kernel_type", "") not in ("", "default", "realtime"):
        check.error(BAD_KERNEL, "kernel_type")


def check_cex(check: Check) -> None:
    """Rule of the whole config: a root on secure keys needs the kernel argument that names the key."""
    values = check.values
    if _CEX_KEY in values.get("openshift", {}).get("kernel_arguments", []):
        return
    if values.get("boot_device", {}).get("luks", {}).get("cex", {}).get("enabled"):
        check.error(CEX_WITHOUT_KEY, "openshift", "kernel_arguments")
    volumes = values.get("storage", {}).get("luks", [])
    if any(volume.get("cex", {}).get("enabled") and volume.get("name") == "root" for volume in volumes):
        check.error(CEX_WITHOUT_KEY, "openshift", "kernel_arguments")


def adapt(run: Run, operator: Operator, values: Object, config: Object) -> Object:
    """``config`` in the terms of the operator."""
    if operator.moves_grub_users:
        _write_grub_users_whole(run, config)
    if operator.sets_cipher and values.get("openshift", {}).get("fips"):
        _set_cipher(run, config)
    return config


def wrap(values: Object, config: Object) -> Object:
    """The MachineConfig with ``config`` in it."""
    metadata = values.get("metadata", {})
    wanted = values.get("openshift", {})
    settings = {
        "kernelArguments": wanted.get("kernel_arguments"),
        "extensions": wanted.get("extensions"),
        "fips": wanted.get("fips"),
        "kernelType": wanted.get("kernel_type"),
    }
    described: Object = {"name": metadata.get("name", "")}
    if metadata.get("labels"):
        described["labels"] = dict(metadata["labels"])
    return {
        "apiVersion": "machineconfiguration.openshift.io/v1",
        "kind": "MachineConfig",
        "metadata": described,
        "spec": {
            "config": config,
            **{name: value for name, value in settings.items() if value not in (None, [])},
        },
    }


def find_unsupported(operator: Operator, config: Object) -> list[Finding]:
    """What the operator or its system cannot do, with paths of the MachineConfig."""
    storage = config.get("storage", {})
    found: list[tuple[Path, str]] = []
    for unsupported, sentence in (
        ("btrfs", NO_BTRFS),
        *([("none", NO_NONE)] if operator.refuses_none else []),
    ):
        for index, filesystem in enumerate(storage.get("filesystems", [])):
            if filesystem.get("format") == unsupported:
                found.append((("storage", "filesystems", index, "format"), sentence))
    for index, file in enumerate(storage.get("files", [])):
        source = file.get("contents", {}).get("source")
        if source is not None and _is_elsewhere(source):
            found.append((("storage", "files", index, "contents", "source"), NO_OTHER_SCHEME))
        if operator.refuses_special_modes and file.get("mode", 0) & ~0o777:
            found.append((("storage", "files", index, "mode"), NO_SPECIAL_MODE))
    for index, user in enumerate(config.get("passwd", {}).get("users", [])):
        if user["name"] != "core":
            found.append((("passwd", "users", index, "name"), NO_OTHER_USER))
    return [Finding(severity=Severity.ERROR, message=text, path=(*SPEC, *path)) for path, text in found]


def warn_of_elided(run: Run, values: Object) -> None:
    """Warns of every setting that an Ignition config alone cannot have."""
    for name in _SETTINGS:
        if name in values.get("openshift", {}):
            run.add(Severity.WARNING, ELIDED, ("openshift", name))


def find_duplicates(wrapped: Object) -> list[Finding]:
    """An error for everything that the settings of a MachineConfig say twice."""
    found = []
    for name in ("kernelArguments", "extensions"):
        items = wrapped["spec"].get(name, [])
        for index, item in enumerate(items):
            if item in items[:index]:
                found.append(Finding(severity=Severity.ERROR, message=DUPLICATE, path=("spec", name, index)))
    return found


def source_of(path: Path) -> Path:
    """The path in the source of something in a MachineConfig that is not in its Ignition config."""
    return ("openshift", *snake_path(path[1:])) if path[:1] == SPEC[:1] else snake_path(path)


def _is_elsewhere(source: str) -> bool:
    """True for a URL that is not a data URL. One that cannot be read is found by Ignition's own rules."""
    if source.lower().startswith("data:"):
        return False
    return not (_UNREADABLE.search(source) or _BAD_HOST.match(source))


def _set_cipher(run: Run, config: Object) -> None:
    for index, volume in enumerate(config.get("storage", {}).get("luks", [])):
        options = volume.get("options", [])
        if any(option in ("--cipher", "-c") or option.startswith("--cipher=") for option in options):
            continue
        above: Path = ("storage", "luks", index, "options")
        for place in range(len(options), len(options) + len(_FIPS_CIPHER)):
            run.origins[(*above, place)] = ("openshift", "fips")
        if not options:
            run.origins[above] = ("openshift", "fips")
        volume["options"] = [*options, *_FIPS_CIPHER]


def _write_grub_users_whole(run: Run, config: Object) -> None:
    for index, file in enumerate(config.get("storage", {}).get("files", [])):
        if file["path"] != FCOS_USERS_FILE:
            continue
        if len(file.get("append", [])) == 1:  # any other number is the user's own doing
            file["contents"] = file.pop("append")[0]
            above: Path = ("storage", "files", index)
            old = (*above, "append", 0)
            for path in [path for path in run.origins if path[: len(old)] == old]:
                run.origins[(*above, "contents", *path[len(old) :])] = run.origins.pop(path)
        return


_TEXT, _TEXTS = Scalar.TEXT, ListOf(item=Scalar.TEXT)
METADATA = Table(
    name="Metadata",
    owner="openshift",
    fields=(
        key("name", _TEXT, "The MachineConfig's name."),
        key(
            "labels",
            TextMap(),
            f"Its labels; {_ROLE} is the pool of nodes that it is for.",
        ),
    ),
    rule=check_metadata,
)
SETTINGS = Table(
    name="OpenShift",
    owner="openshift",
    fields=(
        key("kernel_arguments", _TEXTS, "Arguments that the kernel is booted with."),
        key("extensions", _TEXTS, "Extensions of the operating system to install."),
        key("fips", Scalar.FLAG, "Only cryptography that FIPS 140-2 allows."),
        key("kernel_type", _TEXT, "The kernel: default or realtime."),
    ),
    rule=check_settings,
)
