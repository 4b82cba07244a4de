"""Specification 3.3.0: kernel arguments, file system format ``none``; raid level and link target may come from the
parent config. Frozen."""

from __future__ import annotations

from dataclasses import replace

from nestos.ignition.spec import v3_2
from nestos.ignition.spec.schema import Object, Value
from nestos.ignition.spec.v3_0 import words

VERSION = "3.3.0"

TRAITS = replace(v3_2.TRAITS, formats=v3_2.TRAITS.formats | {"none"}, may_be_left_out=True)

_KERNEL_ARGUMENTS = Object(
    name="KernelArguments",
    fields={"shouldExist": words("KernelArgument"), "shouldNotExist": words("KernelArgument")},
    shared=(("shouldExist", "shouldNotExist"),),
)
_CUSTOM = replace(v3_2.CUSTOM, name="ClevisCustom", nullable=False)
_CLEVIS = replace(v3_2.CLEVIS, nullable=False, fields={**v3_2.CLEVIS.fields, "custom": _CUSTOM})

CONFIG = v3_2.CONFIG.grown({"": {"kernelArguments": _KERNEL_ARGUMENTS}, "storage.luks": {"clevis": _CLEVIS}})


def upgrade(config: Value) -> Value:
    """A 3.2.0 config in which what could not be left out is written down: it wins over that of a parent."""
    storage = config.get("storage", {})
    for entry in storage.get("raid", []):
        entry.setdefault("level", "")
    for entry in storage.get("links", []):
        entry.setdefault("target", "")
    for entry in storage.get("luks", []):
        custom = entry.get("clevis", {}).get("custom")
        if custom is not None:
            custom.setdefault("pin", "")
            custom.setdefault("config", "")
    return config
