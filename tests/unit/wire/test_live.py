"""A live image carries its parts behind the slot, and its initramfs knows what root it belongs to."""

from __future__ import annotations

import io

import pytest

from nestos.base.errors import InputError, StateError
from nestos.wire import live
from tests.unit.installer.made_up import noise

SLOT = noise("slot", 9000)
CONF = live.Conf(version="13.20250101~1", root_hash="ab" * 32, hash_offset=4096, slot_bytes=9000, label="NESTOS-13")


def carried() -> io.BytesIO:
    file = io.BytesIO()
    file.write(SLOT)
    live.append(file, [("disk512", io.BytesIO(b"d" * 5000))], known={"slot": (0, len(SLOT))})
    return file


def test_its_parts_are_found_again() -> None:
    file = carried()
    assert file.getvalue().startswith(SLOT)
    assert len(file.getvalue()) % live.FOOTER_BYTES == 0
    image = live.opened(file)
    assert (image.part("slot"), image.part("disk512")) == (SLOT, b"d" * 5000)
    with pytest.raises(StateError, match="carries no disk4096"):
        image.image(4096)


def test_more_is_put_behind_it_without_touching_what_it_had() -> None:
    file = carried()
    before = file.getvalue()
    live.append(file, [("kernel", io.BytesIO(b"k"))], known=live.opened(file).contents)
    assert file.getvalue().startswith(before)
    image = live.opened(file)
    assert (image.part("disk512"), image.part("kernel")) == (b"d" * 5000, b"k")


def test_it_is_read_in_the_middle_of_another_file() -> None:
    inner = carried().getvalue()
    outer = io.BytesIO(b"x" * 2048 + inner + b"y" * 100)
    assert live.opened(outer, start=2048, size=len(inner)).part("disk512") == b"d" * 5000


@pytest.mark.parametrize("content", [b"", bytes(8192), b"NESTOSLV", b"NESTOSLV" + bytes(4088)])
def test_a_file_without_a_table_of_contents_is_refused(content: bytes) -> None:
    with pytest.raises(StateError, match="not a live image"):
        live.opened(io.BytesIO(content))


def test_the_configuration_is_lines_a_shell_can_read() -> None:
    data = live.render_conf(CONF)
    assert b"hash_offset=4096\n" in data
    assert live.parse_conf(data) == CONF


@pytest.mark.parametrize("label", ["a b", "$(reboot)", "a\nb", "a'b"])
def test_nothing_that_a_shell_would_run_gets_into_it(label: str) -> None:
    with pytest.raises(InputError, match="label of a live image"):
        live.render_conf(live.Conf(version="1", root_hash="a", hash_offset=0, slot_bytes=1, label=label))


def test_half_a_configuration_is_refused() -> None:
    with pytest.raises(StateError, match="not the configuration"):
        live.parse_conf(b"version=1\n")
