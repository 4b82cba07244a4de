"""Specification 3.6.0: special mode bits take effect, any custom clevis pin is passed on. Frozen."""

from __future__ import annotations

from dataclasses import replace

from nestos.ignition.spec import v3_5
from nestos.ignition.spec.schema import Value

VERSION = "3.6.0"

TRAITS = replace(v3_5.TRAITS, special_modes=True, pins=None)

CONFIG = v3_5.CONFIG

_ORDINARY_BITS = 0o777


def upgrade(config: Value) -> Value:
    """A 3.5.0 config, in which special mode bits had no effect, with these bits taken away."""
    for kind in ("files", "directories"):
        for entry in config.get("storage", {}).get(kind, []):
            if "mode" in entry:
                entry["mode"] &= _ORDINARY_BITS
    return config
