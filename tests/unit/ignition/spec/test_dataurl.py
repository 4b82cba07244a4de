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
        ("data:;base64,aGVs\nbG8=", b"hello"),
        ('data:text/plain;a=b;charset="x,y";base64,aGk=', b"hi"),
        ("data:,%ff%00", b"\xff\x00"),
    ],
)
def test_the_data_is_read(url: str, data: bytes) -> None:
    assert decode(url) == data


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("data:", "missing comma before data"),
        ("DATA:,x", "missing data prefix"),
        ("data:text", "missing media type slash"),
        ("data:text/plain", "incomplete media type"),
        ("data:foo/bar,x", "invalid media type"),
        ("data:,a b", "invalid data character"),
        ("data:,ä", "invalid data character"),
        ("data:,%zz", "rfc2396: invalid char 0x25 in unescape sequence"),
        ("data:,%4", "rfc2396: unexpected end of unescape sequence"),
        ("data:;base65,aaaa", "expected base64, got base65"),
        ("data:;base64,aaa", "illegal base64 data at input byte 0"),
        ("data:;base64,aaaabb=c", "illegal base64 data at input byte 6"),
        ("data:;base64,a-_=", "invalid data character"),
        ("data:;x", "unterminated parameter sequence"),
    ],
)
def test_a_malformed_url_is_refused(url: str, message: str) -> None:
    with pytest.raises(DataUrlError) as caught:
        decode(url)

    assert str(caught.value) == message
