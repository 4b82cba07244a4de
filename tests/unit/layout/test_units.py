from __future__ import annotations

from pathlib import Path

import pytest

from nestos.base.errors import InputError
from nestos.layout import units
from tests.unit.compose.trees import Link, picture, plant
from tests.unit.host.scripted import Scripted


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return plant(
        tmp_path,
        {
            "usr/lib/systemd/system/ssh.service": "",
            "usr/lib/systemd/system/docker.socket": "",
            "usr/lib/systemd/system/getty@.service": "",
            "usr/lib/systemd/user/podman.socket": "",
            "etc/systemd/system/own.timer": "",
        },
    )


def settle(tree: Path, *names: str) -> Scripted:
    inside = Scripted()
    units.settle(tree, units=names, default_target="multi-user.target", inside=inside)
    return inside


def test_the_manifests_units_are_presets_in_their_order(tree: Path) -> None:
    inside = settle(tree, "ssh.service", "-docker.socket", "getty@tty1.service", "podman.socket", "own.timer")
    preset = (tree / "usr/lib/systemd/system-preset/30-nestos-manifest.preset").read_text()
    assert preset.splitlines()[1:] == [
        "enable ssh.service",
        "disable docker.socket",
        "enable getty@tty1.service",
        "enable podman.socket",
        "enable own.timer",
    ]
    assert inside.lines == [["systemctl", "preset-all"], ["systemctl", "--global", "preset-all"]]
    assert all(call.environment == {"SYSTEMD_OFFLINE": "1"} for call in inside.calls)


def test_what_package_scripts_enabled_is_removed_first(tree: Path) -> None:
    plant(
        tree,
        {
            "etc/systemd/system/multi-user.target.wants/ssh.service": Link("/usr/lib/systemd/system/ssh.service"),
            "etc/systemd/system/dbus-org.x.service": Link("/usr/lib/systemd/system/x.service"),
            "etc/systemd/user/sockets.target.wants/podman.socket": Link("/x"),
            "etc/systemd/system/ssh.service.d/own.conf": "",
        },
    )
    settle(tree)
    left = {name for name in picture(tree, "etc/systemd") if "firstboot" not in name and "ldconfig" not in name}
    assert left == {
        "etc/systemd/system/own.timer",
        "etc/systemd/system/ssh.service.d/own.conf",
        "etc/systemd/system-generators/systemd-gpt-auto-generator",
        "etc/systemd/user",
    }


def test_the_default_target_is_the_releases(tree: Path) -> None:
    plant(tree, {"etc/systemd/system/default.target": Link("/x"), "usr/lib/systemd/system/default.target": Link("y")})
    settle(tree)
    found = picture(tree)
    assert "etc/systemd/system/default.target" not in found
    assert found["usr/lib/systemd/system/default.target"] == "-> multi-user.target"


def test_what_no_node_wants_is_masked(tree: Path) -> None:
    settle(tree)
    assert {picture(tree)[name] for name in units.MASKED} == {"-> /dev/null"}


def test_units_that_no_package_brings_are_named_all_at_once_with_the_nearest(tree: Path) -> None:
    with pytest.raises(InputError) as caught:
        settle(tree, "ssh.service", "sshh.service", "zzz.mount", "-gone.timer")
    assert str(caught.value).splitlines()[1:] == ['  sshh.service (did you mean "ssh.service"?)', "  zzz.mount"]
