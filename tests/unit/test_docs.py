"""The documents: their links lead somewhere, their pictures are whole, changelog fragments are well named."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)\s#]+)(#[^)\s]*)?\)")
FRAGMENT = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\.(added|changed|fixed|removed|security)\.md")


def documents() -> Iterator[Path]:
    yield from sorted(ROOT.glob("*.md"))
    for folder in ("docs", "changelog.d", "benchmarks"):
        yield from sorted((ROOT / folder).rglob("*.md"))


def broken_links(document: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = (match.group(1) for match in LINK.finditer(text))
    return [
        f"{document.name}: {target}"
        for target in targets
        if "://" not in target and not (document.parent / target).exists()
    ]


def misnamed_fragments(folder: Path) -> list[str]:
    return [
        path.name for path in sorted(folder.iterdir()) if path.name != "README.md" and not FRAGMENT.fullmatch(path.name)
    ]


def test_links_between_documents_lead_somewhere() -> None:
    assert [link for document in documents() for link in broken_links(document)] == []


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "images").glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_is_whole_and_says_in_words_what_it_shows(picture: Path) -> None:
    root = ElementTree.parse(picture).getroot()
    described = {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in root}

    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert described["title"]
    assert described["desc"]


def test_changelog_fragments_say_what_and_which_kind() -> None:
    assert misnamed_fragments(ROOT / "changelog.d") == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text("[b](b.md) [a](a.md#part) [c](https://example.org/c) ```[d](d.md)```")

    assert broken_links(document) == ["a.md: b.md"]


def test_a_misnamed_fragment_is_found(tmp_path: Path) -> None:
    for name in ("README.md", "dry-run.added.md", "dry-run.md", "Dry.added.md", "dry-run.new.md"):
        (tmp_path / name).touch()

    assert misnamed_fragments(tmp_path) == ["Dry.added.md", "dry-run.md", "dry-run.new.md"]
