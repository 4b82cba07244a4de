from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nestos.cli.node import COMMANDS
from nestos.compose import product
from nestos.ignition.engine import closure
from nestos.layout import bytecode
from tests.unit.compose.trees import plant


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    plant(tmp_path, {"usr/bin": None, "etc": None})
    product.install(tmp_path)
    return tmp_path


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small source of its own, to change."""
    folder = plant(
        tmp_path / "nestos",
        {
            "__init__.py": "",
            "base/x.py": "1",
            "base/__pycache__/x.pyc": "",
            "compose/y.py": "1",
            "dist/systemd/a.service": "",
            "dist/root/etc/sudoers.d/nestos": "",
        },
    )
    monkeypatch.setattr(product, "source", lambda: folder)
    return folder


def node_modules(tree: Path) -> set[str]:
    root = tree / "usr/lib/python3/dist-packages"
    names = (str(path.relative_to(root).with_suffix("")).replace("/", ".") for path in root.rglob("*.py"))
    return {name.removesuffix(".__init__") for name in names}


def imports(path: Path) -> Iterator[str]:
    """Modules of ours that a file imports; of ``from a import b`` both ``a`` and ``a.b``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("nestos"):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("nestos"))


def test_the_module_of_every_command_is_on_the_node(tree: Path) -> None:
    """They are loaded by name, each only for its own commands."""
    assert {f"nestos.cli.{name}" for name in COMMANDS} <= node_modules(tree)


def test_every_module_that_node_code_imports_is_on_the_node(tree: Path) -> None:
    modules = node_modules(tree)
    every = {
        str(path.relative_to(product.source().parent).with_suffix("")).replace("/", ".").removesuffix(".__init__")
        for path in product.source().rglob("*.py")
    }
    wanted = {name for path in (tree / "usr/lib/python3").rglob("*.py") for name in imports(path)}
    assert (wanted & every) - modules == set()


def test_what_only_hosts_run_is_not_on_the_node(tree: Path) -> None:
    assert not {name.split(".")[1] for name in node_modules(tree) if "." in name} & {"compose", "lab", "butane"}


def test_every_program_of_the_initramfs_is_on_the_node(tree: Path) -> None:
    assert set(closure.PROGRAMS.values()) <= node_modules(tree)


@pytest.mark.parametrize("command", sorted(product._COMMANDS))
def test_a_command_starts_a_module_that_is_there_and_ignores_its_environment(tree: Path, command: str) -> None:
    program = tree / "usr/bin" / command
    text = program.read_text()
    assert text.startswith("#!/usr/bin/python3 -I\n")
    found = re.search(r"^from (\S+) import program$", text, flags=re.MULTILINE)
    assert found is not None
    assert found[1] in node_modules(tree)
    assert program.stat().st_mode & 0o777 == 0o755


def test_modes_are_the_contents_business(tree: Path) -> None:
    for path in tree.rglob("*"):
        if path.is_file() and path != tree / "etc/sudoers.d/nestos":
            wanted = 0o755 if path.read_bytes()[:2] == b"#!" else 0o644
            assert path.stat().st_mode & 0o7777 == wanted, path


def test_the_sudo_rule_has_the_mode_that_sudo_wants(tree: Path) -> None:
    assert (tree / "etc/sudoers.d/nestos").stat().st_mode & 0o7777 == 0o440


def test_units_dracut_modules_and_configs_are_at_their_places(tree: Path) -> None:
    for place in (
        "usr/lib/systemd/system/nestos-health.service",
        "usr/lib/dracut/modules.d/35nestos/module-setup.sh",
        "usr/lib/nestos/nestos.conf.d/10-defaults.conf",
        "usr/lib/nestos/health.d/required.d/10-state-is-writable",
        "usr/lib/ignition/base.d/10-default-user.ign",
        "usr/lib/tmpfiles.d/nestos.conf",
    ):
        assert (tree / place).is_file(), place


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"base/x.py": "2"}, True),
        ({"base/new.py": ""}, True),
        ({"dist/systemd/a.service": "[Unit]"}, True),
        ({"base/__pycache__/x.pyc": "noise"}, False),
        ({"compose/y.py": "2"}, False),
    ],
    ids=["code", "a new file", "a unit", "a cache", "code of hosts"],
)
def test_the_digest_changes_with_what_a_node_gets(source: Path, change: dict[str, str], differs: bool) -> None:
    before = product.digest()
    plant(source, change)
    assert (product.digest() != before) is differs


def test_a_moved_file_changes_the_digest(source: Path) -> None:
    before = product.digest()
    (source / "base/x.py").rename(source / "base/z.py")
    assert product.digest() != before


def test_the_digest_of_folders_is_of_their_content(source: Path) -> None:
    before = product.code_digest("compose")
    plant(source, {"base/x.py": "2"})
    assert product.code_digest("compose") == before
    plant(source, {"compose/y.py": "2"})
    assert product.code_digest("compose") != before


@pytest.mark.parametrize(
    ("folders", "place"),
    [
        (["usr/lib/python3/dist-packages", "usr/lib/python3.13/site-packages"], "usr/lib/python3/dist-packages"),
        (["usr/lib/python3.11/site-packages"], "usr/lib/python3.11/site-packages"),
        (["usr/lib"], "usr/lib/python3/dist-packages"),
    ],
    ids=["Debian", "Red Hat", "no Python yet"],
)
def test_the_code_goes_where_the_trees_interpreter_looks(tmp_path: Path, folders: list[str], place: str) -> None:
    plant(tmp_path, dict.fromkeys([*folders, "usr/bin", "etc"]))
    product.install(tmp_path)
    assert bytecode.packages_folder(tmp_path) == place
    assert (tmp_path / place / "nestos/base/errors.py").exists()
