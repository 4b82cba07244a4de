"""What the real system needs to open the encrypted volumes that the disks stage made: crypttab(5), and the keys."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nestos.base.errors import StateError
from nestos.ignition.engine.files.place import Places, status
from nestos.ignition.engine.job import Job, State
from nestos.ignition.spec.dataurl import decode

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Clevis, Filesystem, Luks, Storage

CRYPTTAB = "/etc/crypttab"
KEYS = "/etc/luks"
SECURE_KEYS = "/etc/zkey/repository"
_ALWAYS_IN_USE = ("/", "/var")
_MAPPED = ("/dev/mapper/", "/dev/disk/by-id/dm-name-")
_FILE_MODE = 0o600
_FOLDER_MODE = 0o700


def write_crypttab(job: Job, storage: Storage, *, places: Places) -> None:
    """A line for each volume; the keys leave the state, so that they only are where a root can be encrypted."""
    volumes = storage.get("luks", [])
    if not volumes:
        return
    kept = _kept_until_the_end(storage.get("filesystems", []))
    state = job.read_state()
    with job.log.operation(f"adding {len(volumes)} volumes to {CRYPTTAB}"):
        lines = [_line(job, volume, state, places, is_kept=volume["name"] in kept) for volume in volumes]
        path = places.find(CRYPTTAB)
        places.prepare(path)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, _FILE_MODE)
        with open(descriptor, "a") as file:
            file.writelines(lines)
        os.chmod(path, _FILE_MODE)
    if any(volume.get("cex", {}).get("enabled") for volume in volumes):
        _write_secure_keys(job, state, places)
    state.pop("luksPersistKeyFiles", None)
    state.pop("luksPersistVolumeKeyFiles", None)
    job.write_state(state)


def _kept_until_the_end(filesystems: list[Filesystem]) -> set[str]:
    """The volumes of file systems that are in use as long as the system runs, and so cannot be closed by it.

    Without ``x-initrd.attach`` systemd-cryptsetup-generator(8) has a volume closed at shutdown before the file
    systems are gone, which fails for these (crypttab(5)). For all others it is right: they are closed in order.
    """
    devices = [entry["device"] for entry in filesystems if entry.get("path") in _ALWAYS_IN_USE]
    return {device.removeprefix(prefix) for device in devices for prefix in _MAPPED if device.startswith(prefix)}


def _line(job: Job, volume: Luks, state: State, places: Places, *, is_kept: bool) -> str:
    name, device = volume["name"], volume.get("device", "")
    uuid = job.machine.runner(["cryptsetup", "luksUUID", device]).stdout.strip()
    clevis = volume.get("clevis", {})
    key_file = "none"
    if not _is_bound(clevis):
        key_file = f"{KEYS}/{name}"
        key = (state.get("luksPersistKeyFiles") or {}).get(name)
        if key is None:
            raise StateError(f"missing persisted keyfile for {name}", hint="run the stage disks first")
        _write_key(key_file, key, places)
    custom = clevis.get("custom", {})
    is_remote = clevis.get("tang") or (custom.get("pin") and custom.get("needsNetwork"))
    options = ["luks", *(["_netdev"] if is_remote else []), *(["x-initrd.attach"] if is_kept else [])]
    return f"{name} UUID={uuid} {key_file} {','.join(options)}\n"


def _is_bound(clevis: Clevis) -> bool:
    return bool(
        clevis.get("custom", {}).get("pin") or clevis.get("tang") or clevis.get("tpm2") or clevis.get("threshold")
    )


def _write_key(target: str, key: str, places: Places) -> None:
    path = places.find(target)
    folder = os.path.dirname(path)
    if status(folder) is None:
        places.prepare(folder)
        os.mkdir(folder, _FOLDER_MODE)
    places.write(path, decode(key), mode=_FILE_MODE)


def _write_secure_keys(job: Job, state: State, places: Places) -> None:
    for name, key in sorted((state.get("luksPersistVolumeKeyFiles") or {}).items()):
        with job.log.operation(f"writing the secure key {name}"):
            places.write(places.find(f"{SECURE_KEYS}/{name}"), decode(key), mode=_FILE_MODE)
