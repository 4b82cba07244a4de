"""Short ways to write a config in a test."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

from nestos.butane import Translation, rendering, translate


def nestos(body: str, *, version: str = "1.1.0", variant: str = "nestos", **options: Any) -> Translation:
    """Translates ``body`` under a header of two lines: its first line is line 3 of the document."""
    return translate(f"variant: {variant}\nversion: {version}\n{dedent(body).lstrip()}", **options)


def messages(body: str, **options: Any) -> list[str]:
    """The findings of ``body``, one line each; behind them the problem, if no finding is an error."""
    return told(nestos(body, **options))


def told(translation: Translation) -> list[str]:
    """What a translation says: its findings, and the problem if no finding is an error."""
    found = [rendering.short(finding) for finding in translation.report]
    return found if translation.report.is_fatal or not translation.problem else [*found, translation.problem]


def config(body: str, **options: Any) -> dict[str, Any]:
    """The Ignition config of ``body`` without its version. Fails on any finding."""
    translation = nestos(body, **options)
    assert [str(finding) for finding in translation.report] == []
    result = dict(translation.require())
    ignition = {name: value for name, value in result.pop("ignition").items() if name != "version"}
    return {"ignition": ignition, **result} if ignition else result


def write_files(folder: Path, files: dict[str, str]) -> Path:
    """Makes a files directory; a content that starts with ``->`` is a link to what follows."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content.startswith("->"):
            path.symlink_to(content.removeprefix("->"))
        else:
            path.write_text(content)
    return folder
