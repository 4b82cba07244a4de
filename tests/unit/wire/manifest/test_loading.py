"""The way in."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestos.base.errors import InputError
from nestos.wire.manifest import require
from tests.unit.wire.manifest.book import LEAST, TODAY, Book


def test_a_missing_manifest_is_an_error_with_its_path(book: Book) -> None:
    loaded = book.load({})
    assert loaded.manifest is None
    assert str(book.folder / "main.yaml") in loaded.errors[0]


def test_an_unknown_architecture_is_refused_before_anything_is_read(book: Book) -> None:
    assert book.load({}, arch="x86-64").errors == ['unknown architecture "x86-64" (did you mean "x86_64"?)']


@pytest.mark.parametrize("name", ["basearch", "releasever", "debarch"])
def test_variables_that_define_themselves_cannot_be_given(book: Book, name: str) -> None:
    assert book.load({"main.yaml": LEAST}, variables={name: "x"}).errors


def test_requiring_a_wrong_manifest_raises_with_all_findings(book: Book, tmp_path: Path) -> None:
    book.write({"main.yaml": LEAST + "pakages: [a]\nunits: [x]\n"})
    with pytest.raises(InputError, match=r"(?s)did you mean \"packages\".*unit name") as caught:
        require(tmp_path / "main.yaml", arch="x86_64", today=TODAY)
    assert caught.value.exit_code == 2


def test_requiring_a_good_manifest_gives_it(book: Book, tmp_path: Path) -> None:
    book.write({"main.yaml": LEAST})
    assert require(tmp_path / "main.yaml", arch="x86_64", today=TODAY).packages == ("systemd",)
