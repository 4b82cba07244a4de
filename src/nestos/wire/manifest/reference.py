"""``docs/manifest.md``, written from the table of keys, so that it cannot lag behind the code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nestos.wire.manifest.keys import Key, Merge, Record, Status
from nestos.wire.manifest.shapes import Either, ListOf, MapOf, Shape
from nestos.wire.manifest.treefile import ARCHITECTURES, SECTIONS

_INTRODUCTION = """\
# The manifest

One file describes an operating system: what is in it, how it is versioned, how its nodes boot. The language is
rpm-ostree's treefile (YAML, or JSON in a file that ends in `.json`), so that existing treefiles can be taken over;
`repositories` and `nestos` are ours. Every key of the original has a row here with what becomes of it; a key that is
not acted upon is an error or a warning, never ignored. All findings of all files come at once, with file, line and
column, and an unknown key names the nearest known one.

This page is written from the table in `src/nestos/wire/manifest`; a test keeps it current. Change the table, then run
`NESTOS_WRITE_DOCS=1 pytest tests/unit/wire/manifest/test_reference.py`.

```yaml
ref: nestos/${basearch}/${stream}
variables: {stream: stable}
releasever: 13
automatic-version-prefix: "${releasever}.<date:%Y%m%d>"   # 13.20261123.0, 13.20261123.1, ...
repositories:
  debian: {suite: trixie}
  debian-updates: {suite: trixie-updates, archive: debian}
  debian-security: {suite: trixie-security}
repos: [debian, debian-updates, debian-security]
include: base.yaml
packages:
  - podman docker.io
packages-x86_64: [grub-pc-bin]
units: [docker.socket]
add-files: [[overlay, /]]
postprocess:
  - |
    #!/bin/sh -e
    systemctl --root=/ mask apt-daily.timer
nestos:
  kernel-package: linux-image-${debarch}
  boot: {kargs: [console=ttyS0]}
```

## Rules

- **Including.** Lists join: the entries of an included file come before those of its includer, and a later include's
  before an earlier one's (so postprocess scripts of included files run first). Mappings unite, the includer's entries
  win. Any other value is the includer's, else that of the first include that has it. The same file twice is an error.
- **Variables.** `${name}` is replaced in the keys marked *takes variables*; an undefined name is an error. Values given
  on the command line win, then the including file's, then the included file's.
- **YAML** is read by the core schema of YAML 1.2: only `true` and `false` are booleans, `0755` is a number in decimal,
  `13.10` as a `releasever` stays `13.10`. A key given twice is an error.
- **Per architecture.** `packages-ARCH` and `arch-include` know {arches}.
- **JSON** files may have keys that start with `comment`, which are skipped.
- **Identity.** A digest over everything that shapes the tree (contents of added files and scripts included) decides
  whether a compose can be skipped. `metadata`, `gpg-key`, names of repositories, comments, places of files, the order
  of keys and the day of the compose are not part of it.
"""


def document() -> str:
    """The page."""
    parts = [_INTRODUCTION.replace("{arches}", ", ".join(f"`{arch}`" for arch in ARCHITECTURES))]
    for title, table in SECTIONS:
        parts.append(f"## {title}\n")
        if all(key.status is not Status.WORKS for key in table):
            parts.append("\n".join(_brief(table)) + "\n")
        else:
            parts.extend(_entry(key) for key in table)
    return "\n".join(parts)


def _brief(table: Sequence[Key]) -> Iterator[str]:
    yield "| key | status | why |\n| --- | --- | --- |"
    for key in table:
        yield f"| `{key.name}` | {_status(key)} | {key.reason} |"


def _entry(key: Key) -> str:
    lines = [f"### `{key.name}`\n", f"{key.note}\n"]
    facts = [f"Value: {key.shape.words()}"] if not isinstance(key.shape, Record) else []
    if key.status is not Status.WORKS:
        facts = [f"Status: **{_status(key)}**, {key.reason}"]
    elif not isinstance(key.shape, Record):
        if key.default != "none":
            facts.append(f"default: {key.default}")
        if key.merge not in {Merge.INCLUDER, Merge.OWN}:
            facts.append(f"across files: {key.merge.value}")
        if key.substitutes:
            facts.append("takes variables")
    if key.aliases:
        facts.append("also written " + ", ".join(f"`{alias}`" for alias in key.aliases))
    lines.append("; ".join(facts) + ".\n" if facts else "")
    refused = getattr(key.shape, "refused", {})
    for value, reason in refused.items():
        text = str(value).lower() if isinstance(value, bool) else value
        lines.append(f"`{text}` is an error: {reason}.\n")
    if key.example:
        lines.append(f"```yaml\n{key.example}\n```\n")
    lines.extend(_fields(key.name, key.shape))
    return "\n".join(line for line in lines if line)


def _status(key: Key) -> str:
    return {Status.WORKS: "works", Status.NO_EFFECT: "warning", Status.REFUSED: "error"}[key.status]


def _fields(prefix: str, shape: Shape) -> Iterator[str]:
    """The table of a record's fields, and those of records inside it."""
    record, prefix = _record_in(shape, prefix)
    if record is None:
        return
    yield "| key | value | meaning | default |\n| --- | --- | --- | --- |"
    for key in record.fields:
        words = "a mapping, see below" if _record_in(key.shape, "")[0] else key.shape.words()
        note = key.note.replace("|", "\\|")
        yield f"| `{prefix}.{key.name}` | {words} | {note} | {'**required**' if key.required else key.default} |"
    yield "\n"
    for key in record.fields:
        yield from _fields(f"{prefix}.{key.name}", key.shape)


def _record_in(shape: Shape, prefix: str) -> tuple[Record | None, str]:
    """The record that a shape is or holds, and how its fields are addressed."""
    if isinstance(shape, Record):
        return shape, prefix
    if isinstance(shape, MapOf):
        return _record_in(shape.item, f"{prefix}.NAME")
    if isinstance(shape, ListOf):
        return _record_in(shape.item, f"{prefix}[]")
    if isinstance(shape, Either):
        for option in shape.options:
            found, where = _record_in(option, prefix)
            if found is not None:
                return found, where
    return None, prefix
