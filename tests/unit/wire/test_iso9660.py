"""Files of an ISO image are found and changed where they lie; a damaged image is refused, not believed."""

from __future__ import annotations

import io

import pytest

from nestos.base.errors import InputError
from nestos.wire import iso9660
from tests.unit.installer.media.made_up_iso import make

FILES = {"boot/grub/grub.cfg": b"menu", "images/longer-name.img": b"x" * 5000, "README": b""}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_found_whatever_the_case(name: str) -> None:
    volume = iso9660.opened(io.BytesIO(make(FILES)))
    assert volume.read(name) == volume.read(name.upper()) == FILES[name]


def test_without_rock_ridge_names_are_the_standards() -> None:
    volume = iso9660.opened(io.BytesIO(make({"a/kargs": b"k"}, rock_ridge=False)))
    assert volume.read("A/KARGS") == b"k"


def test_label_size_and_folders_are_told() -> None:
    image = make(FILES, label="some-label")
    volume = iso9660.opened(io.BytesIO(image))
    assert (volume.label, volume.size_bytes) == ("some-label", len(image))
    assert [entry.name for entry in volume.listed("images")] == ["longer-name.img"]
    with pytest.raises(FileNotFoundError, match="has no images/none"):
        volume.find("images/none")
    with pytest.raises(InputError, match="is a file"):
        volume.listed("README")


def test_sizes_are_written_where_they_are_read() -> None:
    file = io.BytesIO(make(FILES))
    volume = iso9660.opened(file)
    iso9660.set_file_size(file, volume.find("images/longer-name.img"), 3)
    iso9660.set_volume_size(file, volume, 200 * 2048)
    again = iso9660.opened(file)
    assert again.read("images/longer-name.img") == b"xxx"
    assert again.size_bytes == 200 * 2048


def cut(image: bytes) -> bytes:
    return image[: len(image) - 80_000]


def lying(image: bytes) -> bytes:
    """The root folder's size is four gigabytes."""
    changed = bytearray(image)
    changed[16 * 2048 + 156 + 10 : 16 * 2048 + 156 + 14] = b"\xff" * 4
    return bytes(changed)


@pytest.mark.parametrize("image", [b"", bytes(100_000), cut(make(FILES)), lying(make(FILES))])
def test_what_is_no_whole_image_is_refused(image: bytes) -> None:
    with pytest.raises(InputError):
        iso9660.opened(io.BytesIO(image)).read("images/longer-name.img")
