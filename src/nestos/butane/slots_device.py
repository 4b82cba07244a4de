"""``boot_device`` and ``grub`` of NestOS: what they mean on a disk with two slots and ``var``.

The system in ``root-a`` and ``root-b`` is the same for everyone, verified at every read and written anew by every
update: there is nothing to hide in it and nothing to lose. What a node has of its own is in ``var``; that is what can
be encrypted, or kept on several disks.
"""

from __future__ import annotations

from nestos.butane.boot_device import add_luks_origins, clevis_of
from nestos.butane.grub import users_script
from nestos.butane.merge import Generated, lay_over
from nestos.butane.place import Path
from nestos.butane.resources import data_url
from nestos.butane.schema import ListOf, Scalar, Table, key
from nestos.butane.site import Check, Object, Run
from nestos.butane.storage_language import TANG

NO_DEVICE = "devices must name at least one disk besides the boot disk"
DEVICE_TWICE = "a disk can only be used once"
NO_METHOD = "luks needs tpm2 or tang"
ONLY_THRESHOLD = "threshold is larger than the number of ways to unlock"

GRUB_USERS_FILE = "/boot/grub/user.cfg"

_VAR_TYPE = "4D21B016-B534-45C2-A9FB-5C16E091FD2D"
_VAR = "/dev/disk/by-partlabel/var"


def check_luks(check: Check) -> None:
    """Rule of ``boot_device.luks``: something unlocks it, and enough of it."""
    values = check.values
    if not values:
        return
    ways = len(values.get("tang", [])) + bool(values.get("tpm2"))
    if not ways:
        check.error(NO_METHOD)
    elif values.get("threshold", 1) > ways:
        check.error(ONLY_THRESHOLD, "threshold")


def check_mirror(check: Check) -> None:
    """Rule of ``boot_device.mirror``: other disks, each once."""
    devices = check.values.get("devices")
    if devices is None:
        return
    if not devices:
        check.error(NO_DEVICE, "devices")
    for index, device in enumerate(devices):
        if device in devices[:index]:
            check.error(DEVICE_TWICE, "devices", index)


def add_var(run: Run, values: Object, config: Object) -> Object:
    """``config`` over the array, the volume and the file system of an encrypted or mirrored ``var``."""
    wanted = values.get("boot_device", {})
    luks, mirrors = wanted.get("luks", {}), wanted.get("mirror", {}).get("devices", [])
    if not luks and not mirrors:
        return config
    generated = Generated()
    device = _VAR
    if mirrors:
        _add_mirror(generated, mirrors)
        device = "/dev/md/md-var"
    if luks:
        _add_volume(generated, luks, device)
        device = "/dev/mapper/var"
    filesystem = {"device": device, "format": "ext4", "label": "var", "wipeFilesystem": True}
    generated.add(("storage", "filesystems"), filesystem, source=("boot_device",))
    generated.came_from(("boot_device",), ("storage",))
    return lay_over(run, generated, config)


def add_users_file(run: Run, values: Object, config: Object) -> Object:
    """``config`` over the mounted boot partition and the file that our GRUB reads its users from."""
    users = values.get("grub", {}).get("users", [])
    generated = Generated()
    if users:
        source: Path = ("grub", "users")
        boot = {"device": "/dev/disk/by-label/boot", "format": "ext4", "path": "/boot"}
        generated.add(("storage", "filesystems"), boot, source=source)
        url, compression = data_url(users_script(users).encode())
        contents = {"source": url, "compression": compression}
        file = {"path": GRUB_USERS_FILE, "overwrite": True, "contents": contents, "mode": 0o600}
        generated.add(("storage", "files"), file, source=source)
    return lay_over(run, generated, config)


def _add_mirror(generated: Generated, mirrors: list[str]) -> None:
    above: Path = ("boot_device", "mirror")
    for index, device in enumerate(mirrors):
        partition = {"label": f"var-{index + 2}", "typeGuid": _VAR_TYPE}
        disk = {"device": device, "partitions": [partition], "wipeTable": True}
        generated.add(("storage", "disks"), disk, source=(*above, "devices", index))
    others = [f"{_VAR}-{index + 2}" for index in range(len(mirrors))]
    array = {"devices": [_VAR, *others], "level": "raid1", "name": "md-var"}
    generated.add(("storage", "raid"), array, source=above)


def _add_volume(generated: Generated, luks: Object, device: str) -> None:
    source: Path = ("boot_device", "luks")
    volume: Object = {
        "clevis": clevis_of(luks),
        "device": device,
        **({"discard": luks["discard"]} if "discard" in luks else {}),
        "label": "luks-var",
        "name": "var",
        "wipeVolume": True,
    }
    path = generated.add(("storage", "luks"), volume, source=source)
    add_luks_origins(generated, luks, source, path, unlock="clevis")


_FLAG = Scalar.FLAG
BOOT_DEVICE = Table(
    name="BootDevice",
    owner="nestos",
    fields=(
        key(
            "luks",
            Table(
                name="BootDeviceLuks",
                owner="nestos",
                fields=(
                    key("discard", _FLAG, "Pass discards on to the disk."),
                    key("tang", TANG, "Servers that unlock var."),
                    key("threshold", Scalar.NUMBER, "How many of TPM and servers must agree; 1 if not set."),
                    key("tpm2", _FLAG, "The machine's TPM unlocks var."),
                ),
                rule=check_luks,
            ),
            "Encrypt var. The slots hold nothing secret: they are verified instead.",
        ),
        key(
            "mirror",
            Table(
                name="BootDeviceMirror",
                owner="nestos",
                fields=(
                    key(
                        "devices",
                        ListOf(item=Scalar.TEXT),
                        "The disks besides the boot disk that var is kept on too. All that is on them is lost.",
                    ),
                ),
                rule=check_mirror,
            ),
            "Keep var on several disks.",
        ),
    ),
)
"""The short form of an encrypted or mirrored ``var``."""
