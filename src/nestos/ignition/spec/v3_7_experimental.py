"""Specification 3.7.0, not yet settled: a config of this version may stop to be accepted.

It has the file system format ``virtiofs``: a folder that the host of a virtual machine shares, found by its tag.
"""

from __future__ import annotations

from dataclasses import replace

from nestos.ignition.spec import v3_6
from nestos.ignition.spec.schema import Value

VERSION = "3.7.0-experimental"

TRAITS = replace(v3_6.TRAITS, formats=v3_6.TRAITS.formats | {"virtiofs"})

CONFIG = v3_6.CONFIG


def upgrade(config: Value) -> Value:
    """A 3.6.0 config means the same in 3.7.0."""
    return config
