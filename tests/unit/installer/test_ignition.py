"""No config that the first boot would refuse gets as far as a disk."""

from __future__ import annotations

import hashlib

import pytest

from nestos.base.errors import InputError, VerificationError
from nestos.installer import ignition

GOOD = b'{"ignition": {"version": "3.4.0"}}'


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>not found</html>", b'{"ignition": {"version": "9.0.0"}}', GOOD[:-1]],
    ids=["empty", "an error page", "unknown version", "cut short"],
)
def test_what_is_no_config_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        ignition.validate(data, source="x")


def test_a_config_passes() -> None:
    ignition.validate(GOOD, source="x")


@pytest.mark.parametrize("kind", ["sha256", "sha512"])
def test_hashes_are_compared(kind: str) -> None:
    digest = hashlib.new(kind, GOOD).hexdigest()
    ignition.check_hash(GOOD, f"{kind}-{digest}", source="x")
    ignition.check_hash(GOOD, "", source="x")
    with pytest.raises(VerificationError, match=f"has the {kind}"):
        ignition.check_hash(GOOD + b" ", f"{kind}-{digest}", source="x")
