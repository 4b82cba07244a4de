"""Which version of a variant makes which version of Ignition."""

from __future__ import annotations

import pytest

from nestos.butane import VARIANTS, translate

OPENSHIFT = {8: "3.2.0", 14: "3.4.0", 19: "3.5.0"}

VERSIONS = [
    ("nestos", "1.0.0", "3.3.0"),
    ("nestos", "1.1.0", "3.4.0"),
    ("nestos", "1.2.0", "3.6.0"),
    ("fcos", "1.0.0", "3.0.0"),
    ("fcos", "1.1.0", "3.1.0"),
    ("fcos", "1.2.0", "3.2.0"),
    ("fcos", "1.3.0", "3.2.0"),
    ("fcos", "1.4.0", "3.3.0"),
    ("fcos", "1.5.0", "3.4.0"),
    ("fcos", "1.6.0", "3.5.0"),
    ("fcos", "1.7.0", "3.6.0"),
    ("fcos", "1.8.0-experimental", "3.7.0-experimental"),
    ("flatcar", "1.0.0", "3.3.0"),
    ("flatcar", "1.1.0", "3.4.0"),
    ("flatcar", "1.2.0-experimental", "3.7.0-experimental"),
    *(
        ("openshift", f"4.{minor}.0", next(name for first, name in reversed(OPENSHIFT.items()) if first <= minor))
        for minor in range(8, 23)
    ),
    ("openshift", "4.23.0-experimental", "3.7.0-experimental"),
    ("r4e", "1.0.0", "3.3.0"),
    ("r4e", "1.1.0", "3.4.0"),
    ("r4e", "1.2.0-experimental", "3.7.0-experimental"),
    ("fiot", "1.0.0", "3.4.0"),
    ("fiot", "1.1.0-experimental", "3.7.0-experimental"),
]

METADATA = "metadata: {name: a, labels: {machineconfiguration.openshift.io/role: worker}}\n"


@pytest.mark.parametrize(("variant", "version", "ignition"), VERSIONS)
def test_a_version_makes_its_ignition_version(variant: str, version: str, ignition: str) -> None:
    config = translate(
        f"variant: {variant}\nversion: {version}\n{METADATA if variant == 'openshift' else ''}", raw=True
    ).require()
    assert config == {"ignition": {"version": ignition}}


def test_every_known_version_is_in_this_table() -> None:
    assert [(name, version) for name, variant in VARIANTS.items() for version in variant.versions] == [
        (name, version) for name, version, _ in VERSIONS
    ]
