"""Specification 3.0.0. Frozen."""

from __future__ import annotations

from nestos.ignition.spec.rules import disks, nodes, resources, systemd, volumes
from nestos.ignition.spec.rules.paths import path
from nestos.ignition.spec.schema import FLAG, NUMBER, TEXT, Items, Object, Scalar, Shape, Traits, Value, by, itself

VERSION = "3.0.0"

TRAITS = Traits(
    schemes=frozenset({"http", "https", "tftp", "s3", "data"}),
    hashes={"sha512": 128},
    formats=frozenset({"ext4", "btrfs", "xfs", "swap", "vfat"}),
    special_modes=False,
    pins=frozenset(),
    may_be_left_out=False,
)


def options(name: str) -> Items:
    """Command line options: order and repetition matter, so entries only pile up."""
    return Items(of=Scalar(str, name))


def keyed(shape: Object, name: str) -> Items:
    """A list whose entries are told apart by the field ``name``."""
    return Items(of=shape, key=by(name))


def words(name: str) -> Items:
    """A list of strings, each at most once; ``name`` is what the specification calls one."""
    return Items(of=Scalar(str, name), key=itself)


VERIFICATION = Object(name="Verification", fields={"hash": TEXT}, rules=(resources.verification,))
_REFERENCE = Object(
    name="ConfigReference", fields={"source": TEXT, "verification": VERIFICATION}, rules=(resources.reference,)
)
_AUTHORITY = Object(
    name="CaReference", fields={"source": TEXT, "verification": VERIFICATION}, rules=(resources.authority,)
)
_CONTENTS = Object(
    name="FileContents",
    fields={"source": TEXT, "compression": TEXT, "verification": VERIFICATION},
    rules=(resources.resource,),
)
_OWNER = {"id": NUMBER, "name": TEXT}
_NODE: dict[str, Shape] = {
    "path": TEXT,
    "overwrite": FLAG,
    "user": Object(name="NodeUser", fields=_OWNER, rules=(nodes.owner,)),
    "group": Object(name="NodeGroup", fields=_OWNER, rules=(nodes.owner,)),
}

_IGNITION = Object(
    name="Ignition",
    fields={
        "version": TEXT,
        "config": Object(name="IgnitionConfig", fields={"merge": keyed(_REFERENCE, "source"), "replace": _REFERENCE}),
        "timeouts": Object(name="Timeouts", fields={"httpResponseHeaders": NUMBER, "httpTotal": NUMBER}),
        "security": Object(
            name="Security",
            fields={"tls": Object(name="TLS", fields={"certificateAuthorities": keyed(_AUTHORITY, "source")})},
        ),
    },
)

_PARTITION = Object(
    name="Partition",
    fields={
        "number": NUMBER,
        "label": TEXT,
        "startMiB": NUMBER,
        "sizeMiB": NUMBER,
        "typeGuid": TEXT,
        "guid": TEXT,
        "wipePartitionEntry": FLAG,
        "shouldExist": FLAG,
    },
    rules=(disks.partition,),
)
_DISK = Object(
    name="Disk",
    fields={"device": TEXT, "wipeTable": FLAG, "partitions": Items(of=_PARTITION, key=disks.partition_key)},
    rules=(disks.disk,),
)
_RAID = Object(
    name="Raid",
    fields={
        "name": TEXT,
        "level": TEXT,
        "devices": words("Device"),
        "spares": NUMBER,
        "options": options("RaidOption"),
    },
    rules=(volumes.raid,),
)
_FILESYSTEM = Object(
    name="Filesystem",
    fields={
        "path": TEXT,
        "device": TEXT,
        "format": TEXT,
        "wipeFilesystem": FLAG,
        "label": TEXT,
        "uuid": TEXT,
        "options": options("FilesystemOption"),
    },
    rules=(volumes.filesystem,),
)
_FILE = Object(
    name="File",
    is_node=True,
    fields={**_NODE, "contents": _CONTENTS, "append": Items(of=_CONTENTS), "mode": NUMBER},
    rules=(path, nodes.mode, nodes.overwrite),
)
_DIRECTORY = Object(name="Directory", is_node=True, fields={**_NODE, "mode": NUMBER}, rules=(path, nodes.mode))
_LINK = Object(name="Link", is_node=True, fields={**_NODE, "target": TEXT, "hard": FLAG}, rules=(path,))
_STORAGE = Object(
    name="Storage",
    fields={
        "disks": keyed(_DISK, "device"),
        "raid": keyed(_RAID, "name"),
        "filesystems": keyed(_FILESYSTEM, "device"),
        "files": keyed(_FILE, "path"),
        "directories": keyed(_DIRECTORY, "path"),
        "links": keyed(_LINK, "path"),
    },
    rules=(nodes.storage, volumes.devices),
    shared=(("files", "directories", "links"),),
)

_DROPIN = Object(name="Dropin", fields={"name": TEXT, "contents": TEXT}, rules=(systemd.dropin,))
_UNIT = Object(
    name="Unit",
    fields={"name": TEXT, "enabled": FLAG, "mask": FLAG, "contents": TEXT, "dropins": keyed(_DROPIN, "name")},
    rules=(systemd.unit,),
)

_USER = Object(
    name="PasswdUser",
    fields={
        "name": TEXT,
        "passwordHash": TEXT,
        "sshAuthorizedKeys": words("SSHAuthorizedKey"),
        "uid": NUMBER,
        "gecos": TEXT,
        "homeDir": TEXT,
        "noCreateHome": FLAG,
        "primaryGroup": TEXT,
        "groups": words("Group"),
        "noUserGroup": FLAG,
        "system": FLAG,
        "noLogInit": FLAG,
        "shell": TEXT,
    },
)
_GROUP = Object(name="PasswdGroup", fields={"name": TEXT, "gid": NUMBER, "passwordHash": TEXT, "system": FLAG})

CONFIG = Object(
    name="Config",
    fields={
        "ignition": _IGNITION,
        "storage": _STORAGE,
        "systemd": Object(name="Systemd", fields={"units": keyed(_UNIT, "name")}, rules=(systemd.systemd,)),
        "passwd": Object(name="Passwd", fields={"users": keyed(_USER, "name"), "groups": keyed(_GROUP, "name")}),
    },
    rules=(systemd.conflicts,),
)


def upgrade(config: Value) -> Value:
    """Nothing comes before the first version."""
    return config
