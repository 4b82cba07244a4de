from __future__ import annotations

from pathlib import Path

import pytest

from nestos.layout import identity
from tests.unit.compose.trees import Link, picture, plant

OS_RELEASE = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nHOME_URL="https://example/"\n'


def test_nothing_of_the_builder_stays(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
            "etc/ssh/ssh_host_ed25519_key": "secret",
            "etc/ssh/ssh_host_ed25519_key.pub": "public",
            "etc/ssh/sshd_config": "",
            "etc/hostname": "builder\n",
            "etc/resolv.conf": "nameserver 192.0.2.1\n",
            "etc/resolv.conf.bak": "",
            "etc/fstab": "UUID=1 / ext4\n",
            "etc/apt/sources.list": "deb copy:///builder/apt ./\n",
            "etc/apt/apt.conf.d/99mmdebstrap": "",
            "etc/apt/apt.conf.d/70debconf": "kept",
        },
    )
    identity.settle(tmp_path)
    assert picture(tmp_path) == {
        "etc/machine-id": "uninitialized\n",
        "etc/ssh/sshd_config": "",
        "etc/hostname": "localhost\n",
        "etc/resolv.conf": "-> ../run/systemd/resolve/stub-resolv.conf",
        "etc/fstab": "",
        "etc/apt/apt.conf.d/70debconf": "kept",
    }


def test_a_machine_id_that_is_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    plant(tmp_path, {"victim": "kept", "etc/ssh": None, "etc/machine-id": Link("../victim")})
    identity.settle(tmp_path)
    assert (tmp_path / "victim").read_text() == "kept"
    assert not (tmp_path / "etc/machine-id").is_symlink()


def test_the_release_says_what_it_is_and_what_it_is_like(tmp_path: Path) -> None:
    plant(tmp_path, {"usr/lib/os-release": OS_RELEASE, "etc": None})
    identity.name_release(tmp_path, version="13.20261122.0", variant="stable")
    text = (tmp_path / "usr/lib/os-release").read_text()
    fields = dict(line.split("=", 1) for line in text.splitlines())
    assert {name: value.strip('"') for name, value in fields.items()} == {
        "NAME": "NestOS",
        "ID": "nestos",
        "ID_LIKE": "debian",
        "PRETTY_NAME": "NestOS 13.20261122.0",
        "VERSION": "13.20261122.0",
        "VERSION_ID": "13",
        "VARIANT_ID": "stable",
        "IMAGE_ID": "nestos",
        "IMAGE_VERSION": "13.20261122.0",
        "OSTREE_VERSION": "13.20261122.0",
        "BASE_PRETTY_NAME": "Debian GNU/Linux 13 (trixie)",
    }
    assert (tmp_path / "etc/motd").read_text() == ""


@pytest.mark.parametrize("text", ["", "# a comment\n"])
def test_a_base_without_a_name_is_taken_for_debian(tmp_path: Path, text: str) -> None:
    plant(tmp_path, {"usr/lib/os-release": text, "etc": None})
    identity.name_release(tmp_path, version="1", variant="x")
    assert 'ID_LIKE="debian"\n' in (tmp_path / "usr/lib/os-release").read_text()
