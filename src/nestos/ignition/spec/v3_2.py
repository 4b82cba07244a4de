"""Specification 3.2.0: LUKS with clevis, resizing partitions, removing users and groups, gs:// sources. Frozen."""

from __future__ import annotations

from dataclasses import replace

from nestos.ignition.spec import v3_1
from nestos.ignition.spec.rules import volumes
from nestos.ignition.spec.schema import FLAG, NUMBER, TEXT, Object, Value
from nestos.ignition.spec.v3_0 import keyed, option_list

VERSION = "3.2.0"

TRAITS = replace(v3_1.TRAITS, schemes=v3_1.TRAITS.schemes | {"gs"}, pins=frozenset({"tpm2", "tang", "sss"}))

_TANG = Object(fields={"url": TEXT, "thumbprint": TEXT}, rules=(volumes.tang,))
_CLEVIS = Object(
    fields={
        "tang": keyed(_TANG, "url"),
        "tpm2": FLAG,
        "threshold": NUMBER,
        "custom": Object(fields={"pin": TEXT, "config": TEXT, "needsNetwork": FLAG}, rules=(volumes.custom,)),
    },
    rules=(volumes.clevis,),
)
_LUKS = Object(
    fields={
        "name": TEXT,
        "device": TEXT,
        "keyFile": v3_1.RESOURCE,
        "label": TEXT,
        "uuid": TEXT,
        "options": option_list(),
        "wipeVolume": FLAG,
        "clevis": _CLEVIS,
    },
    rules=(volumes.luks,),
)

CONFIG = v3_1.CONFIG.grown(
    {
        "storage": {"luks": keyed(_LUKS, "name")},
        "storage.disks.partitions": {"resize": FLAG},
        "passwd.users": {"shouldExist": FLAG},
        "passwd.groups": {"shouldExist": FLAG},
    }
)


def upgrade(config: Value) -> Value:
    """A 3.1.0 config means the same in 3.2.0."""
    return config
