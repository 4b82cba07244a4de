"""What Flatcar, RHEL for Edge and Fedora IoT do not support."""

from __future__ import annotations

import pytest

from tests.unit.butane.source import messages

CASES = [
    ("flatcar", "1.1.0", "storage: {luks: [{name: a, clevis: {tpm2: true}}]}", "storage.luks.0.clevis", "clevis is"),
    (
        "flatcar",
        "1.2.0-experimental",
        "storage: {luks: [{name: a, cex: {enabled: true}}]}",
        "storage.luks.0.cex",
        "cex",
    ),
    ("r4e", "1.0.0", "kernel_arguments: {should_exist: [a]}", "kernel_arguments", "kernel argument customization"),
    ("r4e", "1.1.0", "storage: {raid: [{name: a}]}", "storage.raid", "raid is not supported"),
    ("fiot", "1.0.0", "storage: {filesystems: [{device: /a}]}", "storage.filesystems", "filesystem customization"),
]


@pytest.mark.parametrize(("variant", "version", "body", "path", "reason"), CASES)
def test_what_the_system_does_not_support_is_refused(
    variant: str, version: str, body: str, path: str, reason: str
) -> None:
    (message,) = messages(body, variant=variant, version=version)
    assert message.startswith(f"error at $.{path}, line 3 col ")
    assert f": {reason}" in message


@pytest.mark.parametrize(("variant", "version", "body"), [case[:3] for case in CASES])
def test_an_empty_section_is_not_refused(variant: str, version: str, body: str) -> None:
    section = body.partition(":")[0]
    assert messages(f"{section}: {{}}", variant=variant, version=version) == []
