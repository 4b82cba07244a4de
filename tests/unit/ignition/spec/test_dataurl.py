"""Data URLs."""

from __future__ import annotations

import pytest

from nestos.ignition.spec.dataurl import DataUrlError, decode


@pytest.mark.parametrize(
    ("url", "data"),
    [
        ("data:,", b""),
        ("data:,hello%20world%0A", b"hello world\n"),
        ("data:text/plain;charset=utf-8,a,b", b"a,b"),
        ("data:;base64,aGVsbG8=", b"hello"),
        ("data:;base64,aGVs%0AbG8%3D", b"hello"),
        ("DATA:;BASE64,aGk=", b"hi"),
        ("data:,%ff%00", b"\xff\x00"),
        ("data:,ä", "ä".encode()),
    ],
)
def test_the_data_is_read(url: str, data: bytes) -> None:
    assert decode(url) == data


@pytest.mark.parametrize(
    "url", ["data:", "data:text/plain", "data:,%zz", "data:,%4", "data:;base64,aaa", "data:;base64,a-_="]
)
def test_a_malformed_url_is_refused_without_repeating_its_contents(url: str) -> None:
    with pytest.raises(DataUrlError) as caught:
        decode(url)

    assert url not in str(caught.value)
