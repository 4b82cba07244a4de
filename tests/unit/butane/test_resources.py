"""Contents as data URLs."""

from __future__ import annotations

import base64
import gzip as reference
import random
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestos.butane.local_files import NO_FILES_DIR, OUTSIDE
from nestos.butane.resources import TOO_MANY_SOURCES, data_url, gzip
from tests.unit.butane.source import config, messages, write_files


def decoded(url: str, compression: str) -> bytes:
    head, _, body = url.partition(",")
    content = base64.b64decode(body) if head.endswith(";base64") else unquote_to_bytes(body)
    return reference.decompress(content) if compression == "gzip" else content


@given(st.binary(max_size=2000))
def test_a_data_url_carries_any_bytes(content: bytes) -> None:
    url, compression = data_url(content)
    assert decoded(url, compression) == content


@pytest.mark.parametrize(
    ("content", "head", "compression"),
    [
        (b"", "data:,", ""),
        (b"plain text", "data:,plain%20text", ""),
        (b"it's (all) fine!~*", "data:,it's%20(all)%20fine!~*", ""),
        (b"/:;=?&+@$,", "data:;base64,Lzo7PT8mK0AkLA==", ""),
        (random.Random(1).randbytes(300), "data:;base64,", ""),
        (b"many words " * 100, "data:;base64,H4sIAAAAAAAC/", "gzip"),
        (b"a" * 43, "data:,aaa", ""),
        (b"a" * 45, "data:;base64,H4sIAAAAAAAC/", "gzip"),
    ],
    ids=["empty", "text", "unreserved", "reserved", "random", "compressible", "gain below its word", "gain above it"],
)
def test_the_shortest_encoding_is_chosen(content: bytes, head: str, compression: str) -> None:
    url, chosen = data_url(content)
    assert url.startswith(head)
    assert chosen == compression


def test_gzip_gives_the_same_bytes_and_knows_no_time() -> None:
    packed = gzip(b"content")
    assert packed[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    assert reference.decompress(packed) == b"content"


def test_what_the_user_compressed_is_not_compressed_again() -> None:
    result = config(f"storage: {{files: [{{path: /a, contents: {{inline: '{'a' * 500}', compression: gzip}}}}]}}")
    contents = result["storage"]["files"][0]["contents"]
    assert contents == {"source": "data:," + "a" * 500, "compression": "gzip"}


def test_the_first_language_version_only_escapes_and_states_no_compression() -> None:
    body = f"storage: {{files: [{{path: /a, contents: {{inline: '{'a' * 500}'}}}}]}}"
    result = config(body, variant="fcos", version="1.0.0")
    assert result["storage"]["files"][0]["contents"] == {"source": "data:," + "a" * 500}


def test_a_local_file_is_embedded(tmp_path: Path) -> None:
    write_files(tmp_path, {"etc/motd": "hello"})
    body = "storage: {files: [{path: /etc/motd, contents: {local: etc/motd}}]}"
    result = config(body, files_dir=tmp_path)
    assert result["storage"]["files"][0]["contents"] == {"source": "data:,hello", "compression": ""}


@pytest.mark.parametrize(
    ("contents", "key", "reason"),
    [
        ("local: /there/../motd", "", ""),
        ("local: missing", "local", "open {folder}/missing: no such file or directory"),
        ("local: folder", "local", "read {folder}/folder: is a directory"),
        ("local: ''", "local", "read {folder}: is a directory"),
        ('local: "a\\0b"', "local", "open {folder}/a\0b: invalid argument"),
        ("local: ../outside", "local", OUTSIDE),
        ("local: ../inside-too/motd", "local", OUTSIDE),
        ("local: motd, inline: text", "inline", TOO_MANY_SOURCES),
        ("inline: text, source: 'data:,'", "source", TOO_MANY_SOURCES),
    ],
)
def test_a_local_file_must_be_a_file_below_the_files_directory(
    tmp_path: Path, contents: str, key: str, reason: str
) -> None:
    write_files(tmp_path, {"outside": "x", "inside/motd": "hello", "inside/folder/x": "", "inside-too/motd": ""})
    found = messages(f"storage:\n  files: [{{path: /a, contents: {{{contents}}}}}]", files_dir=tmp_path / "inside")
    if reason:
        (message,) = found
        assert message.startswith(f"error at $.storage.files.0.contents.{key}, line 4 col ")
        assert message.endswith(": " + reason.replace("{folder}", str(tmp_path / "inside")))
    else:
        assert found == []


def test_without_a_files_directory_nothing_is_read() -> None:
    (message,) = messages("storage: {files: [{path: /a, contents: {local: /etc/passwd}}]}")
    assert message == f"error at $.storage.files.0.contents.local, line 3 col 48: {NO_FILES_DIR}"
