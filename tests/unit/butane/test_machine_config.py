"""OpenShift: the wrapping, its settings, and what the operator does not support."""

from __future__ import annotations

from typing import Any

import pytest

from nestos.butane import machine_config
from nestos.butane.variants.openshift import VARIANT
from tests.unit.butane.source import messages, nestos

METADATA = "metadata: {name: a, labels: {machineconfiguration.openshift.io/role: worker, x: 1}}\n"


def openshift(body: str, version: str = "4.22.0") -> dict[str, Any]:
    return dict(nestos(METADATA + body, variant="openshift", version=version).require())


def told(body: str, version: str = "4.22.0", **options: Any) -> list[str]:
    return messages(METADATA + body, variant="openshift", version=version, **options)


def test_a_config_is_wrapped_with_its_settings() -> None:
    body = "openshift: {kernel_arguments: [a], extensions: [usbguard], fips: true, kernel_type: realtime}"
    assert openshift(body) == {
        "apiVersion": "machineconfiguration.openshift.io/v1",
        "kind": "MachineConfig",
        "metadata": {"name": "a", "labels": {"machineconfiguration.openshift.io/role": "worker", "x": "1"}},
        "spec": {
            "config": {"ignition": {"version": "3.5.0"}},
            "kernelArguments": ["a"],
            "extensions": ["usbguard"],
            "fips": True,
            "kernelType": "realtime",
        },
    }


def test_settings_are_warned_of_when_only_ignition_is_wanted() -> None:
    assert told("openshift: {fips: false}", raw=True) == [
        f"warning at $.openshift.fips, line 4 col 19: {machine_config.ELIDED}"
    ]


@pytest.mark.parametrize(("version", "options"), [("4.19.0", ["--cipher", "aes-cbc-essiv:sha256"]), ("4.20.0", None)])
def test_volumes_get_a_cipher_that_fips_allows_where_the_default_is_none(
    version: str, options: list[str] | None
) -> None:
    body = "openshift: {fips: true}\nstorage: {luks: [{name: a, device: /dev/a}, {name: b, options: [-c, x]}]}"
    first, second = openshift(body, version)["spec"]["config"]["storage"]["luks"]
    assert first.get("options") == options
    assert second["options"] == ["-c", "x"]


REFUSED = [
    ("4.22.0", "storage: {directories: [{path: /a}]}", "storage.directories", "directories are not supported"),
    ("4.12.0", "passwd: {users: [{name: core, password_hash: x}]}", "passwd.users.0.password_hash", "fields other"),
    ("4.13.0", "passwd: {users: [{name: a}]}", "passwd.users.0.name", machine_config.NO_OTHER_USER),
    ("4.10.0", "storage: {files: [{path: /a, mode: 04755}]}", "storage.files.0.mode", machine_config.NO_SPECIAL_MODE),
    (
        "4.22.0",
        "storage: {files: [{path: /a, contents: {source: http://x}}]}",
        "storage.files.0.contents.source",
        machine_config.NO_OTHER_SCHEME,
    ),
    ("4.8.0", "storage: {filesystems: [{device: /a, format: btrfs}]}", "storage.filesystems.0.format", "btrfs is"),
    ("4.14.0", "storage: {filesystems: [{device: /a, format: none}]}", "storage.filesystems.0.format", "format"),
    ("4.14.0", "kernel_arguments: {should_exist: [a]}", "kernel_arguments", "this section cannot be used"),
    ("4.22.0", "boot_device: {layout: s390x-virt, luks: {cex: {enabled: true}}}", "openshift.kernel_arguments", "'rd"),
    ("4.22.0", "openshift: {kernel_type: x}", "openshift.kernel_type", "must be empty"),
]


@pytest.mark.parametrize(("version", "body", "path", "reason"), REFUSED)
def test_what_the_operator_does_not_support_is_refused(version: str, body: str, path: str, reason: str) -> None:
    (message,) = told(body, version)
    assert message.startswith(f"error at $.{path}, line ")
    assert f": {reason}" in message


@pytest.mark.parametrize(
    ("version", "body"),
    [
        ("4.13.0", "passwd: {users: [{name: core, password_hash: x}]}"),
        ("4.9.0", "storage: {files: [{path: /a, mode: 04755}]}"),
        (
            "4.8.0",
            "storage: {files: [{path: /a, contents: {inline: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}}]}",
        ),
    ],
)
def test_what_another_version_does_support_is_not_refused(version: str, body: str) -> None:
    assert told(body, version) == []


def test_a_config_without_name_and_role_is_refused() -> None:
    assert [line.rpartition(": ")[2] for line in messages("", variant="openshift", version="4.8.0")] == [
        machine_config.NO_NAME,
        machine_config.NO_ROLE,
    ]


def test_the_users_of_grub_are_written_whole_where_the_operator_cannot_append() -> None:
    body = "grub: {users: [{name: a, password_hash: b}]}"
    (file,) = openshift(body, "4.23.0-experimental")["spec"]["config"]["storage"]["files"]
    assert set(file) == {"path", "contents"}
    (message,) = told(body)
    assert "appending to files is not supported" in message


def test_every_version_stands_on_the_language_of_its_time() -> None:
    languages = [version.language for version in VARIANT.versions.values()]
    assert languages == [3] * 6 + [5] * 5 + [6] * 4 + [8]
