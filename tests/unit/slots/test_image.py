from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from nestos.base.errors import VerificationError
from nestos.host.process import Completed
from nestos.slots import image
from tests.unit.slots.releases import slot_bytes

BLOCKS = [bytes([number]) * 4096 for number in range(3)]
SALT = bytes(range(32))


class Tools:
    """A runner that writes what mkfs.erofs and veritysetup would."""

    def __init__(self, *, root_hash: str = "", short_by: int = 0) -> None:
        self.commands: list[list[str]] = []
        self.environments: list[Any] = []
        true_hash, self._image = slot_bytes(BLOCKS, salt=SALT)
        self.root_hash = root_hash or true_hash
        self._short_by = short_by

    def __call__(self, command: Any, /, **options: Any) -> Completed:
        line = [str(word) for word in command]
        self.commands.append(line)
        self.environments.append(options.get("environment"))
        output = Path(line[-2])
        if line[0] == "mkfs.erofs":
            output.write_bytes(b"".join(BLOCKS)[: len(BLOCKS) * 4096 - self._short_by])
            return Completed(returncode=0, stdout="", stderr="")
        output.write_bytes(self._image)
        printed = f"VERITY header information\nUUID:   \t1\nRoot hash:      \t{self.root_hash}\n"
        return Completed(returncode=0, stdout=printed, stderr="")


def build(tmp_path: Path, tools: Tools, *, options: tuple[str, ...] = image.DEFAULT_EROFS_OPTIONS) -> image.SlotImage:
    return image.build(
        tmp_path / "tree", tmp_path / "slot.img", uuid="u-u-i-d", salt=SALT.hex(), options=options, runner=tools
    )


def test_the_hash_tree_goes_behind_the_file_system_with_the_identity_that_was_given(tmp_path: Path) -> None:
    tools = Tools()
    built = build(tmp_path, tools)
    assert built == image.SlotImage(root_hash=tools.root_hash, hash_offset=3 * 4096, size=5 * 4096)
    erofs, verity = tools.commands
    assert erofs == [
        "mkfs.erofs",
        "--quiet",
        "-Uu-u-i-d",
        *image.DEFAULT_EROFS_OPTIONS,
        str(tmp_path / "slot.img"),
        str(tmp_path / "tree"),
    ]
    assert {"--data-blocks=3", "--hash-offset=12288", f"--salt={SALT.hex()}", "--uuid=u-u-i-d"} < set(verity)


def test_a_file_system_that_ends_within_a_block_is_filled_up(tmp_path: Path) -> None:
    assert build(tmp_path, Tools(short_by=100)).hash_offset == 3 * 4096


def test_the_options_of_a_commit_replace_the_default_ones(tmp_path: Path) -> None:
    tools = Tools()
    build(tmp_path, tools, options=("-zlz4",))
    assert "-zlz4" in tools.commands[0]
    assert not set(image.DEFAULT_EROFS_OPTIONS) & set(tools.commands[0])


def test_a_root_hash_that_our_own_computation_does_not_confirm_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="root hash"):
        build(tmp_path, Tools(root_hash="ab" * 32))


def test_the_identity_depends_on_the_digest_and_on_nothing_else() -> None:
    first = image.identity("sha256:1")
    assert first == image.identity("sha256:1")
    assert first != image.identity("sha256:2")
    assert len(bytes.fromhex(first.salt)) == 32
    assert len(first.uuid) == 36


def test_an_image_at_the_beginning_of_a_larger_device_is_verified(tmp_path: Path) -> None:
    root_hash, data = slot_bytes(BLOCKS, salt=SALT)
    path = tmp_path / "partition"
    path.write_bytes(data + b"\xff" * 9000)
    image.verify(path, root_hash=root_hash, hash_offset=3 * 4096, size=len(data))
    path.write_bytes(b"\xff" + data[1:])
    with pytest.raises(VerificationError):
        image.verify(path, root_hash=root_hash, hash_offset=3 * 4096, size=len(data))


def test_the_kernel_digest_is_of_the_files_one_behind_the_other() -> None:
    together = image.digest_of(io.BytesIO(b"kernelinitramfs"))
    assert image.digest_of(io.BytesIO(b"kernel"), io.BytesIO(b"initramfs")) == together
