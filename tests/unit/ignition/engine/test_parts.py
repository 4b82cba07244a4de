"""What is loaded when, and what the initramfs therefore needs."""

from __future__ import annotations

import ast
import io
import sys
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

import nestos
from nestos.ignition.engine import closure, parts

PACKAGE = Path(nestos.__file__).parent
HEAVY = {"asyncio", "email", "hashlib", "http", "socket", "ssl", "urllib", "argparse", "base64"}
MAY_BE_HEAVY = {
    "engine/fetchers/digest.py",
    "engine/fetchers/signature.py",
    "engine/journal.py",
    "engine/network.py",
    "engine/tls.py",
}


def imported(path: Path) -> set[str]:
    """The first parts of the names of modules that the module at ``path`` imports when it is loaded."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_only_what_is_loaded_on_demand_imports_what_is_slow_to_import() -> None:
    below = PACKAGE / "ignition"
    sources = {path.relative_to(below).as_posix(): path for path in below.rglob("*.py")}

    assert {name for name, path in sources.items() if imported(path) & HEAVY} == MAY_BE_HEAVY


@pytest.mark.parametrize("name", parts.all_parts())
def test_every_part_can_be_loaded(name: str) -> None:
    assert parts.load(name.removeprefix("nestos.ignition.engine.")).__name__ == name


def test_every_module_of_a_stage_provider_or_fetcher_is_in_the_tables() -> None:
    engine = PACKAGE / "ignition/engine"
    on_disk = {
        f"nestos.ignition.engine.{folder}.{path.stem}"
        for folder in ("stages", "providers", "fetchers")
        for path in (engine / folder).glob("*.py")
        if path.stem != "__init__"
    }

    shared = {"address", "ec2", "signature", "stream"}
    assert on_disk - set(parts.all_parts()) == {f"nestos.ignition.engine.fetchers.{name}" for name in shared}


def test_every_platform_has_its_file() -> None:
    assert len(parts.PROVIDERS) == 31
    for name in parts.PROVIDERS.values():
        assert callable(parts.load(name).fetch_config)


def test_the_closure_holds_every_module_of_the_engine_and_no_other_package() -> None:
    files = closure.modules()

    ours = {path.relative_to(PACKAGE).as_posix() for path in files if path.is_relative_to(PACKAGE)}
    engine = {path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "ignition").rglob("*.py")}
    after_boot = {f"ignition/engine/{name}.py" for name in ("closure", "apply", "options", "removal")}
    assert engine - ours <= after_boot
    assert {"cli/ignition.py", "host/process.py", "base/report.py", "__init__.py"} <= ours
    assert not [path for path in files if "site-packages" in path.parts and not path.is_relative_to(PACKAGE)]


def test_the_closure_puts_compiled_modules_where_their_sources_were(tmp_path: Path) -> None:
    output = io.StringIO()

    closure.main([f"--into={tmp_path}"], output)

    source = PACKAGE / "ignition/engine/program.py"
    compiled = tmp_path.joinpath(*source.parts[1:]).with_suffix(".pyc").read_bytes()
    assert compiled[:8] == MAGIC_NUMBER + b"\x01\0\0\0"  # by hash, never checked against a source
    assert list(tmp_path.rglob("*.py")) == []
    left = output.getvalue().splitlines()
    assert str(Path(sys.executable).resolve()) in left
    assert not [path for path in left if path.endswith(".py")]
    program = tmp_path / "usr/bin/ignition"
    assert program.stat().st_mode & 0o777 == 0o755
    assert "os._exit(code)" in program.read_text()


def test_all_dataclasses_have_docstrings_so_that_inspect_is_not_loaded() -> None:
    bare = [
        f"{path.relative_to(PACKAGE)}: {node.name}"
        for path in [
            PACKAGE / "host/process.py",
            *(PACKAGE / "base").rglob("*.py"),
            *(PACKAGE / "ignition").rglob("*.py"),
        ]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
        and not ast.get_docstring(node)
    ]

    assert bare == []
