"""The house rules that a machine can check (docs/style.md): sizes, names, imports, handlers, docstrings.

Each rule is a function from sources to offences. It is run over this checkout and, to show that it can fail, over a
few lines that break it. What may break a rule, with its reason, stands in the tables below.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FILE_LINES, FILE_LINES_AT_MOST = 450, 700
FUNCTION_LINES, FUNCTION_LINES_AT_MOST = 40, 80
NAMES_THAT_SAY_NOTHING = re.compile(r"(utils?|helpers?|common|misc)")
UNFINISHED = re.compile(r"\b(NotImplementedError|TODO|FIXME|XXX|HACK)\b")

CATCH_ALLS: Mapping[str, int] = {
    "src/nestos/ignition/engine/disks/filesystems.py": 1,  # a thread's rim: the error becomes one of the stage's
    "src/nestos/installer/decompression.py": 1,  # a thread's rim: the error is raised again by who waits for it
    "src/nestos/updates/http.py": 1,  # a request's rim: it is answered with 500 and logged
}
"""How many handlers that swallow everything a file may hold: only rims (main, request, task, tick) may."""

LATE_IMPORTS: Mapping[str, str] = {}
"""Files that may import inside a function, with the reason."""

EXPORTS: Mapping[str, Sequence[str]] = {
    "nestos.butane": ["VARIANTS", "Translation", "translate"],
    "nestos.butane.variants": ["VARIANTS", "Variant", "Version"],
    "nestos.wire.manifest": [
        *("AddedFile", "Backend", "Compression", "Manifest", "RemovedFromPackage", "Repository", "RpmRepository"),
        "Script",
        *("SystemUser", "digest", "load", "require"),
    ],
}
"""Package roots that export names on purpose, and those names. Every other root is empty but for the version."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A Python file: its path from the root of the checkout, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        """The dotted name under ``src``, or the empty string elsewhere."""
        if not self.path.startswith("src/"):
            return ""
        return self.path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def source(path: str, text: str) -> Source:
    return Source(path=path, text=text, tree=ast.parse(text, filename=path))


@pytest.fixture(scope="module")
def checkout() -> list[Source]:
    """Every Python file of the project."""
    paths = (path for folder in ("src", "tests", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py")))
    return [source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


# The rules


def too_large(sizes: Mapping[str, int], *, usual: int, at_most: int) -> list[str]:
    """What is over ``at_most`` lines; and, if fewer than nine in ten are within ``usual``, all that are not."""
    over = [f"{name}: {lines} lines, at most {at_most}" for name, lines in sizes.items() if lines > at_most]
    large = [f"{name}: {lines} lines, usually {usual}" for name, lines in sizes.items() if lines > usual]
    return over if len(large) * 10 <= len(sizes) else over + large


def large_files(sources: Iterable[Source]) -> list[str]:
    sizes = {item.path: len(item.text.splitlines()) for item in sources}
    return too_large(sizes, usual=FILE_LINES, at_most=FILE_LINES_AT_MOST)


def large_functions(sources: Iterable[Source]) -> list[str]:
    sizes = {
        f"{item.path}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for item in sources
        for node in functions(item.tree)
    }
    return too_large(sizes, usual=FUNCTION_LINES, at_most=FUNCTION_LINES_AT_MOST)


def names_that_say_nothing(sources: Iterable[Source]) -> list[str]:
    parts = ((item.path, part) for item in sources for part in item.path.removesuffix(".py").split("/"))
    return [path for path, part in parts if NAMES_THAT_SAY_NOTHING.fullmatch(part)]


def swallows_everything(handler: ast.ExceptHandler) -> bool:
    """True for a bare ``except``, ``Exception`` and ``BaseException``, unless the handler ends by raising again."""
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {ast.unparse(node) if node else "BaseException" for node in caught}
    last = handler.body[-1]
    return bool(names & {"Exception", "BaseException"}) and not isinstance(last, ast.Raise)


def catch_alls(sources: Iterable[Source], *, allowed: Mapping[str, int]) -> list[str]:
    counts = {
        item.path: sum(
            isinstance(node, ast.ExceptHandler) and swallows_everything(node) for node in ast.walk(item.tree)
        )
        for item in sources
    }
    return [
        f"{path}: {count} handlers swallow everything, {allowed.get(path, 0)} agreed on"
        for path, count in counts.items()
        if count != allowed.get(path, 0)
    ]


def late_imports(sources: Iterable[Source], *, allowed: Mapping[str, str]) -> list[str]:
    return [
        f"{item.path}:{node.lineno} {ast.unparse(node)}"
        for item in sources
        if item.path not in allowed
        for function in functions(item.tree)
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]


def without_docstring(sources: Iterable[Source]) -> list[str]:
    """Modules, and public functions and classes at the top level of a module, that have no docstring."""
    found = []
    for item in sources:
        if not ast.get_docstring(item.tree):
            found.append(item.path)
        for node in item.tree.body:
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
            if not node.name.startswith("_") and not ast.get_docstring(node):
                found.append(f"{item.path}:{node.lineno} {node.name}")
    return found


def careless_package_roots(sources: Iterable[Source], *, exports: Mapping[str, Sequence[str]]) -> list[str]:
    """Package roots that hold more than a docstring and the version, unless they export just what was agreed on."""
    found = []
    for item in sources:
        if not item.path.endswith("/__init__.py"):
            continue
        body = [node for node in item.tree.body if not isinstance(node, ast.Expr)]
        named = {ast.unparse(node.targets[0]): node.value for node in body if isinstance(node, ast.Assign)}
        exported = ast.literal_eval(named["__all__"]) if "__all__" in named else []
        if item.module in exports and sorted(exported) != sorted(exports[item.module]):
            found.append(f"{item.path} exports {exported}, agreed on: {list(exports[item.module])}")
        elif item.module not in exports and (len(body) > len(named) or named.keys() - {"__version__"}):
            found.append(f"{item.path} is not empty")
    return found


def exits_below_the_command_line(sources: Iterable[Source]) -> list[str]:
    exits = {"sys.exit", "os._exit", "exit", "quit", "SystemExit"}
    return [
        f"{item.path}:{node.lineno} {ast.unparse(node)}"
        for item in sources
        if not item.module.startswith(("nestos.cli", "nestos.__main__"))
        for node in ast.walk(item.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in exits
    ]


def unfinished(sources: Iterable[Source]) -> list[str]:
    return [
        f"{item.path}:{number} {line.strip()}"
        for item in sources
        for number, line in enumerate(item.text.splitlines(), start=1)
        if UNFINISHED.search(line)
    ]


def unconditional_skips(sources: Iterable[Source]) -> list[str]:
    return [
        f"{item.path}:{decorator.lineno} {ast.unparse(decorator)}"
        for item in sources
        for node in ast.walk(item.tree)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        for decorator in node.decorator_list
        if re.match(r"pytest\.mark\.(skip|xfail)\b", ast.unparse(decorator))
    ]


def without_source(sources: Iterable[Source]) -> list[str]:
    """Folders under ``tests/unit`` that mirror no package."""
    packages = {item.module.replace(".", "/") for item in sources if item.path.endswith("/__init__.py")}
    tested = {item.path.rpartition("/")[0] for item in sources if item.path.startswith("tests/unit/")}
    return sorted(
        folder for folder in tested if folder.replace("tests/unit", "nestos") not in packages and "data" not in folder
    )


def imports_at_load(item: Source, *, modules: Iterable[str]) -> set[str]:
    """Modules of ours that importing ``item`` imports: not in functions, not for the type checker only."""
    known, found, pending = frozenset(modules), set[str](), list[ast.AST](item.tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            members = {f"{node.module}.{name.name}" for name in node.names}
            found |= members & known or {node.module}
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            pending += node.orelse
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            pending += ast.iter_child_nodes(node)
    return found & known - {item.module}


def cycles(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """The modules that can reach themselves."""

    def reached(start: str) -> set[str]:
        seen, pending = set[str](), list(graph[start])
        while pending:
            module = pending.pop()
            if module not in seen:
                seen.add(module)
                pending += graph[module]
        return seen

    return sorted(module for module in graph if module in reached(module))


def import_cycles(sources: Sequence[Source]) -> list[str]:
    ours = {item.module: item for item in sources if item.module}
    return cycles({name: imports_at_load(item, modules=ours) for name, item in ours.items()})


def product(sources: Iterable[Source]) -> list[Source]:
    return [item for item in sources if item.module]


# The checkout keeps them


def expect_none(offences: Sequence[str]) -> None:
    assert not offences, "\n".join(offences)


def test_a_file_reads_in_one_sitting(checkout: list[Source]) -> None:
    expect_none(large_files(checkout))


def test_a_function_fits_a_screen(checkout: list[Source]) -> None:
    expect_none(large_functions(checkout))


def test_modules_are_named_after_what_they_are(checkout: list[Source]) -> None:
    expect_none(names_that_say_nothing(checkout))


def test_everything_is_caught_only_at_the_agreed_rims(checkout: list[Source]) -> None:
    expect_none(catch_alls(product(checkout), allowed=CATCH_ALLS))


def test_imports_stand_at_the_top(checkout: list[Source]) -> None:
    expect_none(late_imports(checkout, allowed=LATE_IMPORTS))


def test_public_names_say_what_they_are_for(checkout: list[Source]) -> None:
    expect_none(without_docstring(product(checkout)))


def test_package_roots_are_empty_or_export_what_was_agreed_on(checkout: list[Source]) -> None:
    expect_none(careless_package_roots(product(checkout), exports=EXPORTS))


def test_no_module_imports_itself_by_a_detour(checkout: list[Source]) -> None:
    expect_none(import_cycles(checkout))


def test_only_the_command_line_exits(checkout: list[Source]) -> None:
    expect_none(exits_below_the_command_line(product(checkout)))


def test_nothing_is_left_unfinished(checkout: list[Source]) -> None:
    expect_none(unfinished(product(checkout)))


def test_no_test_is_switched_off_without_a_condition(checkout: list[Source]) -> None:
    expect_none(unconditional_skips(checkout))


def test_the_folders_of_unit_tests_mirror_the_packages(checkout: list[Source]) -> None:
    expect_none(without_source(checkout))


# The rules can fail


def test_a_file_of_701_lines_is_too_large() -> None:
    small = [source(f"src/nestos/small_{number}.py", "") for number in range(99)]
    large = source("src/nestos/large.py", "pass\n" * 701)

    assert large_files([*small, large]) == ["src/nestos/large.py: 701 lines, at most 700"]


def test_one_in_ten_files_may_be_larger_than_usual_but_not_two() -> None:
    small = [source(f"src/nestos/small_{number}.py", "") for number in range(9)]
    large = [source(f"src/nestos/large_{number}.py", "pass\n" * 451) for number in range(2)]

    assert not large_files([*small, large[0]])
    assert len(large_files([*small, *large])) == 2


def test_a_function_of_81_lines_is_too_large() -> None:
    lines = "\n".join(["def long() -> None:", *["    pass"] * 80])

    assert large_functions([source("src/nestos/a.py", lines)])[0] == "src/nestos/a.py:1 long: 81 lines, at most 80"


@pytest.mark.parametrize("path", ["src/nestos/base/util.py", "src/nestos/helpers/a.py", "tests/unit/common.py"])
def test_names_that_say_nothing_are_found(path: str) -> None:
    assert names_that_say_nothing([source(path, "")]) == [path]


@pytest.mark.parametrize(
    ("handler", "count"),
    [
        pytest.param("except Exception: pass", 1, id="Exception"),
        pytest.param("except BaseException as error: log(error)", 1, id="BaseException"),
        pytest.param("except: pass", 1, id="bare"),
        pytest.param("except (OSError, Exception): pass", 1, id="in a tuple"),
        pytest.param("except Exception: raise", 0, id="raised again"),
        pytest.param("except OSError: pass", 0, id="a named error"),
    ],
)
def test_handlers_that_swallow_everything_are_counted(handler: str, count: int) -> None:
    item = source("src/nestos/a.py", f"try:\n    pass\n{handler}\n")

    assert len(catch_alls([item], allowed={})) == count
    assert len(catch_alls([item], allowed={"src/nestos/a.py": 1})) == 1 - count


def test_an_import_in_a_function_is_found_unless_agreed_on() -> None:
    item = source("src/nestos/a.py", "def f():\n    import json\n")

    assert late_imports([item], allowed={}) == ["src/nestos/a.py:2 import json"]
    assert not late_imports([item], allowed={"src/nestos/a.py": "start-up time"})


def test_missing_docstrings_are_found() -> None:
    item = source("src/nestos/a.py", "def public(): ...\ndef _private(): ...\nclass Public: ...\n")

    assert without_docstring([item]) == ["src/nestos/a.py", "src/nestos/a.py:1 public", "src/nestos/a.py:3 Public"]


@pytest.mark.parametrize(
    ("text", "exports", "count"),
    [
        pytest.param('"""Base."""\n__version__ = "1"\n', {}, 0, id="the version"),
        pytest.param("from nestos.base import log\n", {}, 1, id="an import"),
        pytest.param("def f(): ...\n", {}, 1, id="code"),
        pytest.param("from nestos.base.a import x\n__all__ = ['x']\n", {"nestos.base": ["x"]}, 0, id="agreed on"),
        pytest.param("from nestos.base.a import x\n__all__ = ['x', 'y']\n", {"nestos.base": ["x"]}, 1, id="one more"),
        pytest.param("from nestos.base.a import x\n", {"nestos.base": ["x"]}, 1, id="without __all__"),
    ],
)
def test_a_package_root_with_more_than_agreed_on_is_found(text: str, exports: dict[str, list[str]], count: int) -> None:
    assert len(careless_package_roots([source("src/nestos/base/__init__.py", text)], exports=exports)) == count


def test_a_cycle_is_found_and_imports_for_types_are_none() -> None:
    a = source("src/nestos/a.py", "from nestos import b")
    b = source("src/nestos/b.py", "import nestos.c\n")
    c = source("src/nestos/c.py", "from nestos.a import thing\n")
    for_types = source("src/nestos/c.py", "if TYPE_CHECKING:\n    from nestos.a import thing\n")
    late = source("src/nestos/c.py", "def f():\n    from nestos.a import thing\n")

    assert import_cycles([a, b, c]) == ["nestos.a", "nestos.b", "nestos.c"]
    assert not import_cycles([a, b, for_types])
    assert not import_cycles([a, b, late])


@pytest.mark.parametrize("line", ["sys.exit(1)", "raise SystemExit(2)", "os._exit(0)"])
def test_an_exit_is_found_below_the_command_line_only(line: str) -> None:
    assert exits_below_the_command_line([source("src/nestos/base/a.py", line)]) == [
        f"src/nestos/base/a.py:1 {line.removeprefix('raise ')}"
    ]
    assert not exits_below_the_command_line([source("src/nestos/cli/a.py", line)])


def test_words_of_unfinished_work_are_found() -> None:
    word = "TO" + "DO"

    assert unfinished([source("src/nestos/a.py", f"# {word}: later\n")]) == [f"src/nestos/a.py:1 # {word}: later"]


def test_a_skip_without_a_condition_is_found() -> None:
    skipped = "@pytest.mark.skip(reason='slow')\ndef test_a(): ...\n@pytest.mark.skipif(False)\ndef test_b(): ...\n"

    assert unconditional_skips([source("tests/unit/test_a.py", skipped)]) == [
        "tests/unit/test_a.py:1 pytest.mark.skip(reason='slow')"
    ]


def test_a_folder_of_tests_without_a_package_is_found() -> None:
    items = [
        source("src/nestos/__init__.py", ""),
        source("src/nestos/base/__init__.py", ""),
        source("tests/unit/base/test_a.py", ""),
        source("tests/unit/bse/test_a.py", ""),
    ]

    assert without_source(items) == ["tests/unit/bse"]
