"""Specification 3.3.0: kernel arguments, file system format ``none``; raid level and link target may come from the
parent config. Frozen."""

from __future__ import annotations

from dataclasses import replace

from nestos.ignition.spec import v3_2
from nestos.ignition.spec.schema import TEXT, Object, Value
from nestos.ignition.spec.v3_0 import keyed

VERSION = "3.3.0"

TRAITS = replace(v3_2.TRAITS, formats=v3_2.TRAITS.formats | {"none"})

_KERNEL_ARGUMENTS = Object(
    fields={"shouldExist": keyed(TEXT), "shouldNotExist": keyed(TEXT)}, shared=(("shouldExist", "shouldNotExist"),)
)

CONFIG = v3_2.CONFIG.grown({"": {"kernelArguments": _KERNEL_ARGUMENTS}})


def upgrade(config: Value) -> Value:
    """A 3.2.0 config means the same in 3.3.0."""
    return config
