"""Which image is meant, and that it comes with its proof."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from nestos.base.errors import InputError, StateError, VerificationError
from nestos.installer import options, signature, sources
from nestos.installer.fetch import Fetcher
from nestos.installer.options import Settings
from tests.unit.installer.test_fetch import Reply, Server

FILES: dict[str, bytes] = {
    "http://e/streams/stable.json": json.dumps(
        {
            "stream": "stable",
            "metadata": {},
            "architectures": {
                "x86_64": {
                    "artifacts": {
                        "metal": {
                            "release": "1",
                            "formats": {
                                "raw.xz": {
                                    "disk": {"location": "http://e/m", "sha256": "a" * 64, "signature": "http://e/s"}
                                },
                                "4k.raw.xz": {"disk": {"location": "http://e/4", "sha256": "b" * 64}},
                            },
                        }
                    }
                }
            },
        }
    ).encode(),
    "http://e/s": b"proof",
    "http://e/m": b"image",
}


def open_url(url: str, headers: Mapping[str, str]) -> Reply:
    if url in FILES:
        return Reply(FILES[url])
    return Server("404")(url, headers)


FETCHER = Fetcher(open_url=open_url)


def settings(**given: str | bool) -> Settings:
    named = {name.replace("_", "-"): value for name, value in given.items()}
    return options.settings({"dest-device": "/dev/x", "stream-base-url": "http://e/streams", **named}, machine="x86_64")


def test_a_stream_leads_to_the_image_for_the_disks_sectors() -> None:
    found = sources.find(settings(stream="stable"), sector_bytes=512, fetcher=FETCHER)
    assert (found.name, found.signature) == ("http://e/m", b"proof")
    with pytest.raises(VerificationError, match=r"http://e/4.sig cannot be read"):
        sources.find(settings(stream="stable"), sector_bytes=4096, fetcher=FETCHER)


def test_insecure_accepts_that_there_is_no_signature() -> None:
    found = sources.find(settings(stream="stable", insecure=True), sector_bytes=4096, fetcher=FETCHER)
    assert (found.name, found.signature) == ("http://e/4", b"")


def test_a_server_that_cannot_be_asked_is_no_proof_of_absence() -> None:
    broken = Fetcher(open_url=Server("503"))
    with pytest.raises(VerificationError, match="no signature"):
        sources.find(settings(image_url="http://e/m", insecure=True), sector_bytes=512, fetcher=broken)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"stream": "next"}, "no stream next"),
        ({"stream": "stable", "architecture": "aarch64"}, "nothing for aarch64; there is: x86_64"),
        ({"stream": "stable", "stream_base_url": ""}, "no address of streams"),
    ],
)
def test_what_a_stream_does_not_have_is_named(given: dict[str, str | bool], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        sources.find(settings(**given), sector_bytes=512, fetcher=FETCHER)


def test_a_file_has_its_signature_beside_it(tmp_path: Path) -> None:
    image = tmp_path / "metal.raw"
    image.write_bytes(b"image")
    wanted = settings(image_file=str(image))
    with pytest.raises(VerificationError, match=r"metal.raw.sig cannot be read"):
        sources.find(wanted, sector_bytes=512, fetcher=FETCHER)
    (tmp_path / "metal.raw.sig").write_bytes(b"proof")
    found = sources.find(wanted, sector_bytes=512, fetcher=FETCHER)
    sizes: list[int] = []
    assert (b"".join(found.open(sizes.append)), sizes, found.signature) == (b"image", [5], b"proof")


def test_without_a_key_nothing_is_trusted(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no key to check signatures with"):
        signature.trusted(folder=tmp_path)
    (tmp_path / "b.gpg").touch()
    assert signature.trusted((Path("/k"),), folder=tmp_path) == (tmp_path / "b.gpg", Path("/k"))
