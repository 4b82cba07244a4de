"""Specification 3.0.0. Frozen."""

from __future__ import annotations

from nestos.ignition.spec.rules import disks, nodes, resources, systemd, volumes
from nestos.ignition.spec.rules.paths import absolute
from nestos.ignition.spec.schema import FLAG, NUMBER, TEXT, Items, Object, Scalar, Shape, Traits, Value, by, itself

VERSION = "3.0.0"

TRAITS = Traits(
    schemes=frozenset({"http", "https", "tftp", "s3", "data"}),
    hashes={"sha512": 128},
    formats=frozenset({"ext4", "btrfs", "xfs", "swap", "vfat"}),
    special_modes=False,
    pins=frozenset(),
    source_required=False,
)


def option_list() -> Items:
    """Command line options: order and repetition matter, so entries only pile up."""
    return Items(of=TEXT)


def keyed(shape: Object | Scalar, name: str = "") -> Items:
    """A list whose entries are told apart by the field ``name``, or by themselves."""
    return Items(of=shape, key=by(name) if name else itself)


_VERIFICATION = Object(fields={"hash": TEXT})
_REFERENCE = Object(fields={"source": TEXT, "verification": _VERIFICATION}, rules=(resources.resource,))
_CONTENTS = Object(
    fields={"source": TEXT, "compression": TEXT, "verification": _VERIFICATION}, rules=(resources.resource,)
)
_OWNER = Object(fields={"id": NUMBER, "name": TEXT})
_NODE: dict[str, Shape] = {"path": TEXT, "overwrite": FLAG, "user": _OWNER, "group": _OWNER}
_NODE_RULES = (absolute("path"), nodes.owner)

_IGNITION = Object(
    fields={
        "version": TEXT,
        "config": Object(
            fields={"merge": keyed(_REFERENCE, "source"), "replace": _REFERENCE}, rules=(resources.sourced("merge"),)
        ),
        "timeouts": Object(fields={"httpResponseHeaders": NUMBER, "httpTotal": NUMBER}),
        "security": Object(
            fields={
                "tls": Object(
                    fields={"certificateAuthorities": keyed(_REFERENCE, "source")},
                    rules=(resources.sourced("certificateAuthorities"),),
                )
            }
        ),
    }
)

_PARTITION = Object(
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
    fields={"device": TEXT, "wipeTable": FLAG, "partitions": Items(of=_PARTITION, key=disks.partition_key)},
    rules=(disks.disk,),
)
_RAID = Object(
    fields={"name": TEXT, "level": TEXT, "devices": keyed(TEXT), "spares": NUMBER, "options": option_list()},
    rules=(volumes.raid,),
)
_FILESYSTEM = Object(
    fields={
        "path": TEXT,
        "device": TEXT,
        "format": TEXT,
        "wipeFilesystem": FLAG,
        "label": TEXT,
        "uuid": TEXT,
        "options": option_list(),
    },
    rules=(volumes.filesystem,),
)
_STORAGE = Object(
    fields={
        "disks": keyed(_DISK, "device"),
        "raid": keyed(_RAID, "name"),
        "filesystems": keyed(_FILESYSTEM, "device"),
        "files": keyed(
            Object(
                fields={**_NODE, "contents": _CONTENTS, "append": Items(of=_CONTENTS), "mode": NUMBER},
                rules=(*_NODE_RULES, nodes.mode, nodes.overwrite),
            ),
            "path",
        ),
        "directories": keyed(Object(fields={**_NODE, "mode": NUMBER}, rules=(*_NODE_RULES, nodes.mode)), "path"),
        "links": keyed(
            Object(fields={**_NODE, "target": TEXT, "hard": FLAG}, rules=(*_NODE_RULES, nodes.link)), "path"
        ),
    },
    rules=(nodes.storage, volumes.devices),
    shared=(("files", "directories", "links"),),
)

_UNIT = Object(
    fields={
        "name": TEXT,
        "enabled": FLAG,
        "mask": FLAG,
        "contents": TEXT,
        "dropins": keyed(Object(fields={"name": TEXT, "contents": TEXT}, rules=(systemd.dropin,)), "name"),
    },
    rules=(systemd.unit,),
)

_USER = Object(
    fields={
        "name": TEXT,
        "passwordHash": TEXT,
        "sshAuthorizedKeys": keyed(TEXT),
        "uid": NUMBER,
        "gecos": TEXT,
        "homeDir": TEXT,
        "noCreateHome": FLAG,
        "primaryGroup": TEXT,
        "groups": keyed(TEXT),
        "noUserGroup": FLAG,
        "system": FLAG,
        "noLogInit": FLAG,
        "shell": TEXT,
    }
)
_GROUP = Object(fields={"name": TEXT, "gid": NUMBER, "passwordHash": TEXT, "system": FLAG})

CONFIG = Object(
    fields={
        "ignition": _IGNITION,
        "storage": _STORAGE,
        "systemd": Object(fields={"units": keyed(_UNIT, "name")}, rules=(systemd.systemd,)),
        "passwd": Object(fields={"users": keyed(_USER, "name"), "groups": keyed(_GROUP, "name")}),
    },
    rules=(systemd.conflicts,),
)


def upgrade(config: Value) -> Value:
    """Nothing comes before the first version."""
    return config
