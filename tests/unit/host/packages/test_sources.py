from __future__ import annotations

import pytest

from nestos.base.errors import InputError
from nestos.host.packages import sources
from tests.unit.host.scripted import Scripted

LISTING = """\
http://mirror.example/debian/\tDebian\tDebian
http://mirror.example/debian/\tDebian\tDebian
http://other.example/mirrors/deb-sec/\tDebian\tDebian-Security
https://tools.example/apt\tVendor\tTools
"""


def host(listing: str) -> Scripted:
    runner = Scripted()
    runner.on("indextargets", stdout=listing)
    return runner


def test_sources_are_known_by_the_end_of_their_address_and_by_their_label() -> None:
    assert sources.configured(runner=host(LISTING)) == {
        "debian": "http://mirror.example/debian/",
        "debian-security": "http://other.example/mirrors/deb-sec/",
        "deb-sec": "http://other.example/mirrors/deb-sec/",
        "apt": "https://tools.example/apt",
    }


def test_a_mirror_elsewhere_is_found_by_its_label_before_the_index_was_read() -> None:
    assert sources.configured(runner=host("http://mirror.example/pub/debian\t\t\n")) == {
        "debian": "http://mirror.example/pub/debian"
    }


def test_security_updates_are_beside_the_main_archive_where_the_host_names_none() -> None:
    addresses = {"debian": "http://mirror.example/debian/"}
    assert sources.locate("debian-security", addresses) == "http://mirror.example/debian-security/"


@pytest.mark.parametrize(
    ("archive", "addresses", "hint"),
    [
        ("debian", {}, "configured: none"),
        ("debian-security", {}, "configured: none"),
        ("debian-security", {"debian": "http://mirror.example/pub"}, "configured: debian"),
        ("ubuntu", {"debian": "a", "apt": "b"}, "configured: apt, debian"),
    ],
    ids=["no source at all", "nothing to stand beside", "a mirror of another shape", "an archive of others"],
)
def test_an_archive_that_the_host_has_no_source_for_is_named(
    archive: str, addresses: dict[str, str], hint: str
) -> None:
    with pytest.raises(InputError, match=f"no package source for the archive '{archive}'") as caught:
        sources.locate(archive, addresses)
    assert hint in caught.value.hint


def test_a_stable_release_is_itself_its_updates_and_its_security_updates() -> None:
    found = sources.debian("trixie", components=["main", "contrib"], runner=host(LISTING))
    assert [(one.suite, one.uri) for one in found] == [
        ("trixie", "http://mirror.example/debian/"),
        ("trixie-updates", "http://mirror.example/debian/"),
        ("trixie-security", "http://other.example/mirrors/deb-sec/"),
    ]
    assert {one.components for one in found} == {("main", "contrib")}
