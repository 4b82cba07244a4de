"""From files to one merged input: reading, checking, including, joining.

A ``Fragment`` is one file (or inline mapping) as written; ``Merged`` is what all of them say together, still with
places and variables. Order, as rpm-ostree has it: an included file's list entries come before its includer's, and a
later include's before an earlier one's; any other value is the includer's, else that of the first include that has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nestos.base.report import Finding, Report, Severity
from nestos.wire.manifest import condition
from nestos.wire.manifest.condition import Variable, Variables
from nestos.wire.manifest.document import Node, kind_of, parse
from nestos.wire.manifest.keys import Merge, check_entries, merge_entries
from nestos.wire.manifest.shapes import ListOf
from nestos.wire.manifest.treefile import ARCHITECTURES, BY_NAME, TABLE

DEEPEST = 50
"""Includes nested deeper are a mistake."""


@dataclass(frozen=True, kw_only=True)
class Fragment:
    """One file as written: its checked entries by the keys' proper names."""

    path: Path
    """The file; for an inline mapping the file that it is in."""
    entries: Mapping[str, Node]
    broken: frozenset[str]
    """Keys that are given but wrong. They are not in ``entries``, and not missing either."""


@dataclass(frozen=True, kw_only=True)
class Merged:
    """What all files say together."""

    entries: Mapping[str, Node]
    variables: Variables
    files: tuple[Path, ...]
    """Every file that was read, in reading order."""
    broken: frozenset[str]
    """Keys that some file gives wrongly: what depends on them is not judged."""


def collect(path: Path, *, arch: str, variables: Variables, report: Report) -> Merged | None:
    """Reads a manifest and everything that it includes; None if the main file itself cannot be read.

    ``variables`` (from the command line) win over those in files. Findings of all files go to ``report``.
    """
    collector = _Collector(arch=arch, report=report)
    given: dict[str, Variable] = {
        **variables,
        "basearch": arch,
        "debarch": condition.debian_architecture(arch),
    }
    gathered = collector.file(path, outer=given, chain=(), asked_by=None)
    if gathered is None:
        return None
    entries, known = gathered
    return Merged(entries=entries, variables=known, files=tuple(collector.read), broken=frozenset(collector.broken))


@dataclass
class _Collector:
    arch: str
    report: Report
    read: list[Path] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    def file(
        self, path: Path, *, outer: Variables, chain: tuple[Path, ...], asked_by: Node | None
    ) -> tuple[dict[str, Node], dict[str, Variable]] | None:
        """Entries and variables of a file with its includes; None if it cannot be used."""
        resolved = path.resolve()
        try:
            obstacle = self._obstacle(path, resolved, chain)
            text = "" if obstacle else path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            obstacle = f"cannot read {path}: {reason}"
        if obstacle:
            self._refuse(asked_by, obstacle, source=path)
            return None
        self.read.append(resolved)
        root = parse(text, source=str(path), report=self.report)
        if root is None:
            return None
        return self.mapping(root, path=path, outer=outer, chain=(*chain, resolved))

    def _obstacle(self, path: Path, resolved: Path, chain: tuple[Path, ...]) -> str:
        """Why a file must not be included at this point; empty if it may."""
        if resolved in chain:
            names = " -> ".join(part.name for part in (*chain[chain.index(resolved) :], resolved))
            return f"the files include each other in a circle: {names}"
        if resolved in self.read:
            return f"{path.name} is included a second time"
        if len(chain) >= DEEPEST:
            return f"includes are nested more than {DEEPEST} deep"
        return ""

    def mapping(
        self, root: Node, *, path: Path, outer: Variables, chain: tuple[Path, ...]
    ) -> tuple[dict[str, Node], dict[str, Variable]] | None:
        """The same for a mapping that was parsed already."""
        if not isinstance(root.value, Mapping):
            root.say(self.report, f"a manifest must be a mapping of keys, not {kind_of(root)}")
            return None
        fragment = read_fragment(root, path=path, arch=self.arch, report=self.report)
        self.broken |= fragment.broken
        known = {**_own_variables(fragment, self.report), **outer}
        merged = dict(fragment.entries)
        for asked in self._unconditional(fragment):
            self._include(asked, merged, known, path=path, chain=chain)
        for entry in _list(fragment.entries.get("conditional-include")):
            # Every condition is read before any is judged, so that all findings come at once.
            verdicts = [condition.holds(item, known, self.report) for item in _list(entry.entries["if"])]
            if all(verdicts):
                for asked in _list(entry.entries["include"]):
                    self._include(asked, merged, known, path=path, chain=chain)
        return merged, known

    def _unconditional(self, fragment: Fragment) -> list[Node]:
        asked = list(_list(fragment.entries.get("include")))
        by_arch = fragment.entries.get("arch-include")
        if by_arch is not None:
            asked.extend(_list(by_arch.entries.get(self.arch)))
        return asked

    def _include(
        self,
        asked: Node,
        merged: dict[str, Node],
        known: dict[str, Variable],
        *,
        path: Path,
        chain: tuple[Path, ...],
    ) -> None:
        """Merges one include into ``merged`` and its variables into ``known``."""
        if isinstance(asked.value, Mapping):
            gathered = self.mapping(asked, path=path, outer=known, chain=chain)
        else:
            gathered = self.file(path.parent / asked.text, outer=known, chain=chain, asked_by=asked)
        if gathered is None:
            return
        entries, variables = gathered
        joined = merge_entries(merged, entries, table=TABLE)
        merged.update(joined)
        for name, value in variables.items():
            known.setdefault(name, value)

    def _refuse(self, asked_by: Node | None, message: str, *, source: Path) -> None:
        if asked_by is not None:
            asked_by.say(self.report, message)
        else:
            self.report.extend([Finding(severity=Severity.ERROR, message=message, source=str(source))])


def read_fragment(root: Node, *, path: Path, arch: str, report: Report) -> Fragment:
    """Checks one mapping against the table; what is wrong is reported and left out."""
    ordinary: dict[str, Node] = {}
    by_arch: dict[str, Node] = {}
    for name, item in root.entries.items():
        if name.startswith("packages-"):
            by_arch[name.removeprefix("packages-")] = item
        elif not (path.suffix == ".json" and name.startswith("comment")):
            # JSON has no comments: rpm-ostree's treefiles use keys like "comment-packages" for them.
            ordinary[name] = item
    entries = check_entries(root.with_value(ordinary), TABLE, report)
    for name, item in entries.items():
        shape = BY_NAME[name].shape
        if BY_NAME[name].merge is Merge.JOIN and isinstance(shape, ListOf) and not isinstance(item.value, tuple):
            entries[name] = item.with_value((item,))
    for name, item in by_arch.items():
        _take_arch_packages(entries, item, name=name, arch=arch, report=report)
    names = {alias: key.name for key in TABLE for alias in (key.name, *key.aliases)}
    broken = {names[name] for name in ordinary if name in names} - entries.keys()
    return Fragment(path=path, entries=entries, broken=frozenset(broken))


def _take_arch_packages(entries: dict[str, Node], item: Node, *, name: str, arch: str, report: Report) -> None:
    trial = Report()
    if name not in ARCHITECTURES:
        item.say(trial, f'unknown architecture "{name}" (known: {", ".join(ARCHITECTURES)})', at_key=True)
    BY_NAME["packages"].shape.check(item, trial)
    report.extend(trial)
    if trial.is_fatal or name != arch:
        return
    own = entries.get("packages")
    entries["packages"] = item if own is None else own.with_value((*own.items, *item.items))


def _own_variables(fragment: Fragment, report: Report) -> dict[str, Variable]:
    found: dict[str, Variable] = {}
    given = fragment.entries.get("variables")
    for name, item in given.entries.items() if given is not None else ():
        if name in condition.RESERVED:
            item.say(report, f'the variable "{name}" defines itself', at_key=True)
        elif isinstance(item.value, (str, int, float, bool)):
            found[name] = item.value
    release = fragment.entries.get("releasever")
    if release is not None:
        # As written: 13.10 is a release, not the number 13.1.
        found["releasever"] = release.text
    return found


def _list(node: Node | None) -> tuple[Node, ...]:
    """The items of a list, or a bare value as a list of one."""
    if node is None:
        return ()
    return node.value if isinstance(node.value, tuple) else (node,)
