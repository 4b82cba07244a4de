"""Cases as data: small configs of every variant and version, with what the original program (0.29.0) makes of them.

The configs are made up at random from the tables of the language; result, findings and problem are recorded facts.
"""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest

from nestos.butane import rendering, translate
from nestos.cli.butane_inspection import inspect, validate
from tests.unit.butane.source import write_files

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "data/recorded.json").read_text())


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files directory that the cases were recorded with."""
    names = {
        "exe": "",
        "file": "[Unit]\nDescription=from file\n",
        "keys": "key1\r\n\nkey2\n",
        "tree/file": "x" * 500,
        "tree/link": "->file",
    }
    folder = write_files(tmp_path / "files", names)
    (folder / "keys").write_bytes(b"key1\r\n\nkey2\n")
    (folder / "dir").mkdir()
    (folder / "tree/sub").mkdir()
    (folder / "tree/sub/exe").write_bytes(bytes(range(256)))
    (folder / "tree/sub/exe").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return Path("files")


def unpacked(value: Any) -> Any:
    """``value`` with every packed data URL unpacked: two programs that pack need not agree on every bit."""
    if isinstance(value, list):
        return [unpacked(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("compression") == "gzip" and str(value.get("source", "")).startswith("data:;base64,H4sI"):
        packed = base64.b64decode(unquote_to_bytes(value["source"].partition(",")[2]))
        return {"unpacked": gzip.decompress(packed).decode("latin-1")}
    return {name: unpacked(item) for name, item in value.items()}


def sorted_warnings(report: list[str]) -> list[str]:
    """Findings about keys, which the original tells in no fixed order, sorted in front of all others."""
    about_keys = [line for line in report if "unused key" in line or "context tree" in line]
    return sorted(about_keys) + [line for line in report if line not in about_keys]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['variant']}-{case['version']}")
def test_the_original_says_the_same(case: dict[str, Any], files: Path) -> None:
    translation = translate(
        "".join(f"{line}\n" for line in case["source"]),
        files_dir=files if case["files"] else None,
        raw=case["raw"],
        validate=validate,
        inspect=inspect,
    )
    found = [rendering.short(finding) for finding in translation.report]
    assert sorted_warnings(found) == sorted_warnings(case["report"])
    assert translation.problem == case["problem"]
    assert unpacked(translation.config) == unpacked(case["result"])
