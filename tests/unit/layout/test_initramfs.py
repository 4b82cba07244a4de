from __future__ import annotations

from pathlib import Path

import pytest

from nestos.base.errors import CommandError
from nestos.layout import initramfs
from tests.unit.compose.trees import plant
from tests.unit.host.scripted import Scripted

KERNEL = "6.12.1"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return plant(
        tmp_path / "tree",
        {
            f"usr/lib/modules/{KERNEL}/vmlinuz": "",
            "usr/lib/dracut/modules.d/30ignition/module-setup.sh": "install",
            "usr/lib/python3/dist-packages/nestos/slots/verity.py": "code",
            "usr/share/doc/x": "",
        },
    )


class Dracut(Scripted):
    """Leaves an image beside the kernel, as dracut does."""

    def __init__(self, tree: Path) -> None:
        super().__init__()
        self.on("dracut", does=lambda call: plant(tree, {f"usr/lib/modules/{KERNEL}/initramfs.img": "image"}))
        self.holds(*initramfs._PROOFS, "usr/bin/sh")

    def holds(self, *paths: str) -> None:
        self.on("lsinitrd", stdout="".join(f"-rw-r--r--   1 root     root  1 Nov  1 2026 {path}\n" for path in paths))


def build(tree: Path, inside: Scripted, *, key: str = "k") -> Path:
    return initramfs.build(
        tree,
        kernel=KERNEL,
        arguments=("--add-drivers=virtio",),
        timestamp=1700000000,
        cache=tree.parent / "cache",
        key=key,
        inside=inside,
    )


def test_the_image_is_beside_the_kernel_and_for_root_only(tree: Path) -> None:
    image = build(tree, Dracut(tree))
    assert image == tree / f"usr/lib/modules/{KERNEL}/initramfs.img"
    assert image.read_text() == "image"
    assert image.stat().st_mode & 0o777 == 0o600


def test_it_is_generic_and_repeatable(tree: Path) -> None:
    dracut = Dracut(tree)
    build(tree, dracut)
    call = dracut.called("dracut")
    assert {"--no-hostonly", "--reproducible", f"--kver={KERNEL}", "--add-drivers=virtio"} <= set(call.line)
    assert call.environment == {"SOURCE_DATE_EPOCH": "1700000000", "PYTHONHASHSEED": "0"}


def test_an_image_is_made_once_for_one_key(tree: Path) -> None:
    dracut = Dracut(tree)
    build(tree, dracut)
    (tree / f"usr/lib/modules/{KERNEL}/initramfs.img").unlink()
    assert build(tree, dracut).read_text() == "image"
    assert [call.line[0] for call in dracut.calls] == ["dracut", "lsinitrd"]
    build(tree, dracut, key="other")
    assert len(dracut.calls) == 4
    assert {path.name for path in (tree.parent / "cache").iterdir()} == {"k.img", "other.img"}


def test_an_image_without_what_a_module_brings_is_an_error_and_not_kept(tree: Path) -> None:
    dracut = Dracut(tree)
    dracut.holds(*initramfs._PROOFS[1:])
    with pytest.raises(CommandError, match="dracut left usr/bin/ignition out of the initramfs"):
        build(tree, dracut)
    assert list((tree.parent / "cache").iterdir()) == []


def test_no_image_is_an_error_with_what_dracut_said(tree: Path) -> None:
    inside = Scripted()
    inside.on("dracut", stderr="dracut: module 'nestos' cannot be installed")
    with pytest.raises(CommandError) as caught:
        build(tree, inside)
    assert "cannot be installed" in caught.value.output
    assert not list((tree.parent / "cache").iterdir())


def test_a_digest_names_what_goes_into_the_image(tree: Path) -> None:
    def digest(packages: str = "p", arguments: tuple[str, ...] = ()) -> str:
        return initramfs.digest(tree, packages_digest=packages, arguments=arguments)

    first = digest()
    assert digest("q") != first
    assert digest(arguments=("--x",)) != first
    plant(tree, {"usr/share/doc/x": "other", "usr/lib/dracut/modules.d/__pycache__/x.pyc": "noise"})
    assert digest() == first
    plant(tree, {"usr/lib/python3/dist-packages/nestos/slots/verity.py": "changed"})
    second = digest()
    assert second != first
    (tree / "usr/lib/dracut/modules.d/30ignition/module-setup.sh").rename(tree / "usr/lib/dracut/modules.d/moved")
    assert digest() != second
