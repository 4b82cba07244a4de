"""A node has no YAML: the modules of ``wire`` that it carries need only the standard library and ``base``."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nestos.wire

WIRE = Path(nestos.wire.__file__).parent


def imported(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "nestos.wire":
            yield from (f"nestos.wire.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def foreign(text: str) -> set[str]:
    """Imports that are neither of the standard library, of ``nestos.base`` nor of a module beside."""
    names = {name for name in imported(text) if name.partition(".")[0] not in sys.stdlib_module_names}
    beside = {f"nestos.wire.{path.stem}" for path in WIRE.glob("*.py")}
    return {name for name in names if not name.startswith("nestos.base")} - beside


@pytest.mark.parametrize("module", sorted(WIRE.glob("*.py")), ids=lambda path: path.name)
def test_a_module_that_nodes_carry_needs_only_the_standard_library(module: Path) -> None:
    assert foreign(module.read_text()) == set()


@pytest.mark.parametrize(
    "text",
    [
        "import yaml",
        "from yaml import nodes",
        "from nestos.wire.manifest import load",
        "from nestos.wire import manifest",
    ],
)
def test_the_rule_notices_an_import_that_breaks_it(text: str) -> None:
    assert foreign(text)


def test_one_module_of_the_manifest_reads_yaml() -> None:
    readers = [path.name for path in WIRE.rglob("*.py") if "yaml" in set(imported(path.read_text()))]
    assert readers == ["document.py"]
