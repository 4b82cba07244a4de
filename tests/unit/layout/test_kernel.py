from __future__ import annotations

from pathlib import Path

import pytest

from nestos.base.errors import InputError
from nestos.layout import kernel
from tests.unit.compose.trees import Link, Program, picture, plant

VERSION = "6.12.1+deb13-cloud-amd64"


def test_the_kernel_moves_to_its_modules_and_boot_is_empty(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            f"usr/lib/modules/{VERSION}/modules.dep": "",
            f"boot/vmlinuz-{VERSION}": Program(0o600, "kernel"),
            f"boot/config-{VERSION}": "config",
            f"boot/System.map-{VERSION}": "map",
            "boot/grub/grub.cfg": "",
            "vmlinuz": Link(f"boot/vmlinuz-{VERSION}"),
            "initrd.img.old": Link("boot/initrd"),
        },
    )
    assert kernel.settle(tmp_path) == VERSION
    home = f"usr/lib/modules/{VERSION}"
    assert picture(tmp_path) == {
        "boot": None,
        f"{home}/config": "config",
        f"{home}/modules.dep": "",
        f"{home}/vmlinuz": "kernel",
    }
    assert (tmp_path / home / "vmlinuz").stat().st_mode & 0o777 == 0o644


def test_a_kernel_that_is_in_its_place_already_stays(tmp_path: Path) -> None:
    plant(tmp_path, {f"usr/lib/modules/{VERSION}/vmlinuz": "kernel", "boot": None})
    assert kernel.settle(tmp_path) == VERSION
    assert (tmp_path / f"usr/lib/modules/{VERSION}/vmlinuz").read_text() == "kernel"


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ({"usr/lib": None}, "none"),
        ({"usr/lib/modules": None}, "none"),
        ({"usr/lib/modules/6.1": None, "usr/lib/modules/6.12": None}, "6.1, 6.12"),
    ],
    ids=["no modules", "no version", "two"],
)
def test_a_tree_has_exactly_one_kernel(tmp_path: Path, entries: dict[str, None], found: str) -> None:
    plant(tmp_path, entries)
    with pytest.raises(InputError, match=f"exactly one kernel; this one has: {found}"):
        kernel.settle(tmp_path)


def test_modules_without_a_kernel_are_refused(tmp_path: Path) -> None:
    plant(tmp_path, {"usr/lib/modules/6.12": None, "boot/vmlinuz-6.1": "another"})
    with pytest.raises(InputError, match=r"no kernel image for 6\.12"):
        kernel.settle(tmp_path)
