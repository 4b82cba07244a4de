"""Including and joining files."""

from __future__ import annotations

import pytest

from tests.unit.wire.manifest.book import LEAST, Book


def test_lists_join_with_included_entries_first_and_later_includes_before_earlier(book: Book) -> None:
    manifest = book.load(
        {
            "main.yaml": LEAST + "include: [kernel.yaml, boot.yaml]\npostprocess: [echo main]\n",
            "kernel.yaml": "packages: [kernel]\npostprocess: [echo kernel]\n",
            "boot.yaml": "packages: [boot]\npostprocess: [echo boot]\ninclude: deep.yaml\n",
            "deep.yaml": "packages: [deep]\npostprocess: [echo deep]\n",
        }
    ).good
    assert [script.text.split()[-1] for script in manifest.scripts] == ["deep", "boot", "kernel", "main"]
    assert manifest.packages == ("deep", "boot", "kernel", "systemd")


def test_other_values_are_the_includers_then_those_of_the_first_include(book: Book) -> None:
    manifest = book.load(
        {
            "main.yaml": LEAST + "include: [a.yaml, b.yaml]\nrecommends: false\n",
            "a.yaml": "recommends: true\ndefault-target: a.target\n",
            "b.yaml": "default-target: b.target\npostprocess-script: b.sh\n",
            "b.sh": "#!b",
        }
    ).good
    assert manifest.recommends is False
    assert manifest.default_target == "a.target"
    assert manifest.scripts[0].text == "#!b"


def test_mappings_unite_and_the_includers_entry_wins(book: Book) -> None:
    manifest = book.load(
        {
            "main.yaml": LEAST + "include: a.yaml\nadd-commit-metadata: {x: main}\n",
            "a.yaml": "add-commit-metadata: {x: a, y: a}\nrepositories: {other: {suite: sid}, debian: {suite: sid}}\n",
        }
    ).good
    assert manifest.commit_metadata == {"x": "main", "y": "a"}
    assert manifest.repositories[0].suite == "trixie"


def test_our_block_joins_field_by_field(book: Book) -> None:
    manifest = book.load(
        {
            "main.yaml": LEAST + "include: a.yaml\nnestos: {boot: {kargs: [quiet]}, slot-size: 2 GiB}\n",
            "a.yaml": "nestos: {boot: {kargs: [ro]}, slot-size: 1 GiB, kernel-package: linux}\n",
        }
    ).good
    assert manifest.kargs == ("ro", "quiet")
    assert manifest.slot_size_bytes == 2 << 30
    assert manifest.kernel_package == "linux"


def test_paths_are_relative_to_the_file_that_names_them(book: Book) -> None:
    manifest = book.load(
        {
            "main.yaml": LEAST + "include: parts/a.yaml\n",
            "parts/a.yaml": "include: b.yaml\nadd-files: [[motd, /etc/motd]]\n",
            "parts/b.yaml": "packages: [bee]\n",
            "parts/motd": "hello",
        }
    ).good
    assert manifest.add_files[0].source == book.folder / "parts/motd"
    assert [path.name for path in manifest.sources] == ["main.yaml", "a.yaml", "b.yaml"]


@pytest.mark.parametrize(("arch", "expected"), [("x86_64", ("grub", "systemd")), ("aarch64", ("u-boot", "systemd"))])
def test_only_the_includes_of_the_architecture_are_read(book: Book, arch: str, expected: tuple[str, ...]) -> None:
    files = {
        "main.yaml": LEAST + "arch-include: {x86_64: pc.yaml, aarch64: [arm.yaml]}\n",
        "pc.yaml": "packages: [grub]\n",
        "arm.yaml": "packages: [u-boot]\n",
    }
    assert book.load(files, arch=arch).good.packages == expected


@pytest.mark.parametrize(("arch", "expected"), [("x86_64", ("systemd", "grub", "mcelog")), ("aarch64", ("systemd",))])
def test_packages_of_an_architecture_follow_those_of_all(book: Book, arch: str, expected: tuple[str, ...]) -> None:
    assert book.load({"main.yaml": LEAST + "packages-x86_64: [grub mcelog]\n"}, arch=arch).good.packages == expected


@pytest.mark.parametrize(
    ("condition", "included"),
    [
        ("releasever >= 13", True),
        ("releasever > 13", False),
        ("[releasever >= 13, 'stream == \"stable\"']", True),
        ("[releasever >= 13, 'stream == \"testing\"']", False),
        ("\"basearch == 'x86_64'\"", True),
    ],
)
def test_a_conditional_include_needs_every_condition(book: Book, condition: str, included: bool) -> None:
    text = "releasever: 13\nvariables: {stream: stable}\n"
    text += f"conditional-include: [{{if: {condition}, include: extra.yaml}}]\n"
    loaded = book.with_least(text, extra_yaml="packages: [extra]\n")
    assert ("extra" in loaded.good.packages) is included


def test_a_mapping_in_place_of_a_file_is_included_as_one(book: Book) -> None:
    manifest = book.with_least(
        "releasever: 13\nconditional-include:\n"
        "  - {if: releasever == 13, include: {packages: [inline], units: [a.service]}}\n"
    ).good
    assert manifest.packages == ("inline", "systemd")
    assert manifest.units == ("a.service",)


def test_a_condition_sees_variables_of_the_includer_and_of_earlier_includes(book: Book) -> None:
    manifest = book.load(
        {
            "main.yaml": LEAST + "variables: {stream: stable}\ninclude: [vars.yaml, inner.yaml]\n",
            "vars.yaml": "variables: {stream: ignored, debug: true}\n",
            "inner.yaml": "conditional-include:\n"
            "  - {if: [debug == true, 'stream == \"stable\"'], include: {packages: [seen]}}\n",
        }
    ).good
    assert "seen" in manifest.packages


def test_variables_given_by_the_caller_win(book: Book) -> None:
    files = {"main.yaml": LEAST.replace("stable", "${stream}") + "variables: {stream: stable}\n"}
    assert book.load(files, variables={"stream": "testing"}).good.ref == "nestos/x86_64/testing"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.yaml": "include: main.yaml\n"}, "in a circle: main.yaml -> a.yaml -> main.yaml"),
        ({"a.yaml": "include: a.yaml\n"}, "in a circle: a.yaml -> a.yaml"),
        ({"a.yaml": "include: [b.yaml, ./b.yaml]\n", "b.yaml": "packages: [x]\n"}, "b.yaml is included a second time"),
        ({}, "cannot read"),
        ({"a.yaml": "[1, 2]"}, "a manifest must be a mapping of keys, not a list"),
        ({"a.yaml": "just text"}, "a manifest must be a mapping of keys"),
    ],
    ids=["circle", "itself", "twice", "missing", "list", "text"],
)
def test_an_include_that_makes_no_sense_is_an_error_at_its_place(
    book: Book, files: dict[str, str], message: str
) -> None:
    report = book.load({"main.yaml": LEAST + "include: a.yaml\n", **files}).report
    assert len(report) == 1
    finding = next(iter(report))
    assert message in finding.message
    assert finding.line > 0
    assert finding.source.endswith(".yaml")


def test_includes_have_a_depth_limit(book: Book) -> None:
    files = {f"{n}.yaml": f"include: {n + 1}.yaml\n" for n in range(60)}
    assert book.load({"main.yaml": LEAST + "include: 0.yaml\n", **files}).errors == [
        "includes are nested more than 50 deep"
    ]


def test_a_file_of_bytes_is_refused_by_name(book: Book) -> None:
    (book.folder / "a.yaml").write_bytes(b"packages: [\xff]")
    assert "it is not UTF-8 text" in book.load({"main.yaml": LEAST + "include: a.yaml\n"}).errors[0]


def test_findings_of_all_files_come_at_once_with_their_places(book: Book) -> None:
    report = book.load(
        {
            "main.yaml": LEAST + "include: [a.yaml, b.yaml, c.yaml]\npakages: [x]\n",
            "a.yaml": "\nunits: [docker]\n",
            "b.yaml": "packages: [",
            "c.yaml": "recommends: yes\n",
        }
    ).report
    assert [(item.source.rpartition("/")[2], item.line) for item in report] == [
        ("main.yaml", 6),
        ("a.yaml", 2),
        ("b.yaml", 1),
        ("c.yaml", 1),
    ]
