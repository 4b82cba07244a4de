"""Which version of a variant makes which version of Ignition."""

from __future__ import annotations

import pytest

from nestos.butane import VARIANTS, translate

VERSIONS = [
    ("fcos", "1.0.0", "3.0.0"),
    ("fcos", "1.1.0", "3.1.0"),
    ("fcos", "1.2.0", "3.2.0"),
    ("fcos", "1.3.0", "3.2.0"),
    ("fcos", "1.4.0", "3.3.0"),
    ("fcos", "1.5.0", "3.4.0"),
    ("fcos", "1.6.0", "3.5.0"),
    ("nestos", "1.0.0", "3.3.0"),
    ("nestos", "1.1.0", "3.4.0"),
]


@pytest.mark.parametrize(("variant", "version", "ignition"), VERSIONS)
def test_a_version_makes_its_ignition_version(variant: str, version: str, ignition: str) -> None:
    config = translate(f"variant: {variant}\nversion: {version}\n").require()
    assert config == {"ignition": {"version": ignition}}


def test_every_known_version_is_in_this_table() -> None:
    assert [(name, version) for name, variant in VARIANTS.items() for version in variant.versions] == [
        (name, version) for name, version, _ in VERSIONS
    ]


@pytest.mark.parametrize(
    ("variant", "version", "key", "refused"),
    [
        ("fcos", "1.2.0", "boot_device", False),
        ("fcos", "1.3.0", "boot_device", True),
        ("fcos", "1.4.0", "grub", False),
        ("fcos", "1.5.0", "grub", True),
        ("nestos", "1.0.0", "boot_device", True),
        ("nestos", "1.1.0", "grub", True),
    ],
)
def test_a_key_that_is_not_supported_is_an_error_where_the_variant_has_it_and_unused_before(
    variant: str, version: str, key: str, *, refused: bool
) -> None:
    translation = translate(f"variant: {variant}\nversion: {version}\n{key}: {{luks: {{tpm2: true}}}}\n")
    assert len(translation.report) == 1
    assert translation.report.is_fatal is refused
