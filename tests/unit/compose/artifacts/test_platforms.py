"""What each platform wants, and that the words for it are unmistakable."""

from __future__ import annotations

import pytest

from nestos.base.errors import InputError
from nestos.compose.artifacts import ovf, platforms, qemu_img
from nestos.ignition.engine.parts import PROVIDERS


@pytest.mark.parametrize("platform", platforms.PLATFORMS.values(), ids=lambda item: item.name)
def test_the_word_is_one_that_ignition_knows_and_every_format_can_be_made(platform: platforms.Platform) -> None:
    assert platform.ignition_platform in PROVIDERS
    for form in platform.formats:
        base, compression = platforms.split(form)
        assert base in ("raw", "ova", "tar.gz", *qemu_img.FORMATS)
        assert compression in ("", *platforms.COMPRESSIONS)
        assert base != "ova" or platform.name in ovf.FLAVOURS


@pytest.mark.parametrize(
    ("form", "parts"),
    [("raw", ("raw", "")), ("raw.xz", ("raw", "xz")), ("tar.gz", ("tar.gz", "")), ("qcow2.zst", ("qcow2", "zst"))],
)
def test_a_format_is_taken_apart(form: str, parts: tuple[str, str]) -> None:
    assert platforms.split(form) == parts


def test_an_unknown_platform_leads_to_the_nearest() -> None:
    with pytest.raises(InputError, match='did you mean "openstack"'):
        platforms.find("openstak")


def test_consoles_take_the_place_of_the_releases_own() -> None:
    kargs = ("console=tty0", "quiet", "console=ttyS0")
    assert platforms.with_consoles(kargs, ("console=hvc0",)) == ("console=hvc0", "quiet")
    assert platforms.with_consoles(kargs, ()) == kargs
