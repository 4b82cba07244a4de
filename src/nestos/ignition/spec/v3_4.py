"""Specification 3.4.0: LUKS discard and open options, offline tang, ``arn:`` sources and S3 versions. Frozen."""

from __future__ import annotations

from dataclasses import replace

from nestos.ignition.spec import v3_3
from nestos.ignition.spec.schema import FLAG, TEXT, Value
from nestos.ignition.spec.v3_0 import words

VERSION = "3.4.0"

TRAITS = replace(v3_3.TRAITS, schemes=v3_3.TRAITS.schemes | {"arn"})

CONFIG = v3_3.CONFIG.grown(
    {
        "storage.luks": {"discard": FLAG, "openOptions": words("OpenOption")},
        "storage.luks.clevis.tang": {"advertisement": TEXT},
    }
)


def upgrade(config: Value) -> Value:
    """A 3.3.0 config means the same in 3.4.0."""
    return config
