from __future__ import annotations

from pathlib import Path

from nestos.slots import diagram
from nestos.slots.bootstate import TABLE

DOCUMENT = Path(__file__).parents[3] / "docs" / "design" / "crash-safety.md"


def test_the_document_holds_the_diagram_and_the_table_that_the_code_makes() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert f"```mermaid\n{diagram.mermaid()}```" in text, f"put this into {DOCUMENT.name}:\n{diagram.mermaid()}"
    assert diagram.table() in text, f"put this into {DOCUMENT.name}:\n{diagram.table()}"


def test_every_rule_is_drawn() -> None:
    assert len(diagram.mermaid().splitlines()) == 2 + sum(len(rule.origins) for rule in TABLE)
    assert len(diagram.table().splitlines()) == 2 + len(TABLE)
