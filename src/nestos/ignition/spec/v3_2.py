"""Specification 3.2.0: LUKS with clevis, resizing partitions, removing users and groups, gs:// sources. Frozen."""

from __future__ import annotations

from dataclasses import replace

from nestos.ignition.spec import v3_1
from nestos.ignition.spec.rules import volumes
from nestos.ignition.spec.schema import FLAG, NUMBER, TEXT, Object, Value
from nestos.ignition.spec.v3_0 import keyed, options

VERSION = "3.2.0"

TRAITS = replace(v3_1.TRAITS, schemes=v3_1.TRAITS.schemes | {"gs"}, pins=frozenset({"tpm2", "tang", "sss"}))

_TANG = Object(name="Tang", fields={"url": TEXT, "thumbprint": TEXT}, rules=(volumes.tang,))
CUSTOM = Object(
    name="Custom",
    nullable=True,
    fields={"pin": TEXT, "config": TEXT, "needsNetwork": FLAG},
    rules=(volumes.custom,),
)
CLEVIS = Object(
    name="Clevis",
    nullable=True,
    fields={"tang": keyed(_TANG, "url"), "tpm2": FLAG, "threshold": NUMBER, "custom": CUSTOM},
)
_LUKS = Object(
    name="Luks",
    fields={
        "name": TEXT,
        "device": TEXT,
        "keyFile": v3_1.RESOURCE,
        "label": TEXT,
        "uuid": TEXT,
        "options": options("LuksOption"),
        "wipeVolume": FLAG,
        "clevis": CLEVIS,
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
