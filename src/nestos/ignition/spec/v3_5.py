"""Specification 3.5.0: LUKS with s390x secure keys. Frozen."""

from __future__ import annotations

from nestos.ignition.spec import v3_4
from nestos.ignition.spec.schema import FLAG, Object, Value

VERSION = "3.5.0"

TRAITS = v3_4.TRAITS

CONFIG = v3_4.CONFIG.grown({"storage.luks": {"cex": Object(name="Cex", fields={"enabled": FLAG})}})


def upgrade(config: Value) -> Value:
    """A 3.4.0 config means the same in 3.5.0."""
    return config
