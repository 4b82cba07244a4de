"""Files that a manifest names."""

from __future__ import annotations

import os
from pathlib import PurePosixPath

import pytest

from nestos.wire.manifest.files import allowed_target
from tests.unit.wire.manifest.book import Book


def test_a_file_keeps_whether_it_is_executable_and_nothing_else_of_its_mode(book: Book) -> None:
    book.write({"a": "x", "b": "y"})
    (book.folder / "a").chmod(0o600)
    (book.folder / "b").chmod(0o700)
    files = book.with_least("add-files: [[a, /etc/a], [b, /usr/bin/b]]\n").good.add_files
    assert [(str(item.target), item.mode) for item in files] == [("/etc/a", 0o644), ("/usr/bin/b", 0o755)]
    assert files[0].sha256 == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"


def test_a_folder_is_copied_with_everything_in_it_sorted_links_unfollowed(book: Book) -> None:
    book.write({"over/usr/lib/b": "", "over/usr/lib/a/x": "", "over/etc/c": ""})
    (book.folder / "over/usr/lib/link").symlink_to("/nowhere")
    (book.folder / "over/usr/lib/folder").symlink_to("a")
    files = book.with_least("add-files: [[over, /]]\n").good.add_files
    assert [(str(item.target), item.link) for item in files] == [
        ("/etc/c", None),
        ("/usr/lib/a/x", None),
        ("/usr/lib/b", None),
        ("/usr/lib/folder", "a"),
        ("/usr/lib/link", "/nowhere"),
    ]


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        ("/usr/lib/x", True),
        ("/etc/x", True),
        ("/lib64/x", True),
        ("/usr/local/x", False),
        ("/usr", False),
        ("/var/x", False),
        ("/x", False),
        ("/", False),
        ("/usrlocal/x", False),
    ],
)
def test_only_what_a_commit_holds_is_a_target(target: str, allowed: bool) -> None:
    assert allowed_target(PurePosixPath(target)) is allowed


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("[missing, /etc/x]", "cannot read"),
        ("[a, /var/x]", "/var/x is not part of the tree"),
        ("[a, /etc/../var/x]", 'must not hold ".."'),
        ("[a, etc/x]", "an absolute path"),
        ("[a]", "must be `[source, target]`"),
        ("[pipe, /etc/x]", "it is neither a file nor a link"),
        ("[folder, /]", "/srv/x is not part of the tree"),
    ],
)
def test_a_row_that_cannot_be_copied_is_an_error(book: Book, row: str, message: str) -> None:
    book.write({"a": "", "folder/srv/x": ""})
    os.mkfifo(book.folder / "pipe")
    errors = book.with_least(f"add-files: [{row}]\n").errors
    assert len(errors) == 1
    assert message in errors[0]
