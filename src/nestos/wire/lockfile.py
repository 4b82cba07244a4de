"""Lock files: the exact packages of a tree, as rpm-ostree writes them. Standard library only.

``{"metadata": {...}, "packages": {NAME: {"evra": "1.2-3.amd64", "digest": "sha256:..."}}}``; several files may be
given, a later one overrides an earlier one by package. Ordering of versions belongs to the package backend: what
compares is passed in. One name has one entry: two architectures of one package cannot be expressed (nor can
rpm-ostree's).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from nestos.base.report import Finding, Report, Severity, nearest

_DIGEST = re.compile(r"sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})")
_FIELDS = ("evra", "evr", "digest")


@dataclass(frozen=True, kw_only=True)
class Locked:
    """One package: ``evra`` is ``[epoch:]version[-release].architecture``, or without the architecture (``evr``)."""

    evra: str
    digest: str = ""
    """``sha256:HEX`` of the package file; empty where the lock does not say."""
    has_arch: bool = True
    """False where the file gave ``evr``: any architecture fits."""

    @property
    def version(self) -> str:
        """The version without the architecture."""
        return self.evra.rpartition(".")[0] if self.has_arch else self.evra


@dataclass(frozen=True, kw_only=True)
class Lockfile:
    """What one or several lock files say."""

    packages: Mapping[str, Locked] = field(default_factory=dict)
    metadata: Mapping[str, object] = field(default_factory=dict)
    """For people and tools (when, from what): nothing here is judged."""


@dataclass(frozen=True, kw_only=True)
class Unlocked:
    """A package that a strict lock does not allow, with the reason."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Change:
    """A package whose version or content differs."""

    name: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What lies between two locks; every list is sorted by name."""

    added: tuple[tuple[str, str], ...] = ()
    """Name and version."""
    removed: tuple[tuple[str, str], ...] = ()
    upgraded: tuple[Change, ...] = ()
    downgraded: tuple[Change, ...] = ()
    rebuilt: tuple[Change, ...] = ()
    """Same version, other file: old and new are digests."""

    def __bool__(self) -> bool:
        return any((self.added, self.removed, self.upgraded, self.downgraded, self.rebuilt))


def parse(text: str, *, source: str) -> tuple[Lockfile | None, Report]:
    """Reads one lock file. All findings at once; None where one of them is an error."""
    report = Report()
    try:
        document = json.loads(text, object_pairs_hook=_pairs)
    except json.JSONDecodeError as error:
        finding = Finding(
            severity=Severity.ERROR,
            message=f"not valid JSON: {error.msg}",
            line=error.lineno,
            column=error.colno,
            source=source,
        )
        return None, Report([finding])
    except (_DuplicateKeyError, RecursionError) as error:
        return None, Report([Finding(severity=Severity.ERROR, message=str(error), source=source)])
    lock = _document(document, report)
    report.findings[:] = [
        Finding(severity=item.severity, message=item.message, path=item.path, source=source) for item in report
    ]
    return (None if report.is_fatal else lock), report


def merge(locks: Iterable[Lockfile]) -> Lockfile:
    """All locks as one; a later one's entries override."""
    packages: dict[str, Locked] = {}
    metadata: dict[str, object] = {}
    for lock in locks:
        packages.update(lock.packages)
        metadata.update(lock.metadata)
    return Lockfile(packages=packages, metadata=metadata)


def render(lock: Lockfile) -> str:
    """The file's text: sorted, one form for one content, with a newline at the end."""
    packages = {
        name: {"evra" if one.has_arch else "evr": one.evra} | ({"digest": one.digest} if one.digest else {})
        for name, one in lock.packages.items()
    }
    document = {"metadata": dict(lock.metadata), "packages": packages}
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def unlocked(packages: Mapping[str, Locked], lock: Lockfile) -> tuple[Unlocked, ...]:
    """The resolved packages that a strict lock does not allow, sorted by name; empty if all agree with it.

    A package that the lock names and the tree does not need is no fault: lock files may serve several trees.
    """
    found = []
    for name, one in sorted(packages.items()):
        reason = _disagreement(one, lock.packages.get(name))
        if reason:
            found.append(Unlocked(name=name, reason=reason))
    return tuple(found)


def diff(old: Lockfile, new: Lockfile, *, compare: Callable[[str, str], int]) -> Difference:
    """What changes from ``old`` to ``new``. ``compare`` orders two versions as the package manager does (-1, 0, 1)."""
    before, after = old.packages, new.packages
    upgraded: list[Change] = []
    downgraded: list[Change] = []
    rebuilt: list[Change] = []
    for name in sorted(before.keys() & after.keys()):
        left, right = before[name], after[name]
        order = compare(left.version, right.version)
        if order:
            change = Change(name=name, old=left.version, new=right.version)
            (upgraded if order < 0 else downgraded).append(change)
        elif left.digest and right.digest and left.digest != right.digest:
            rebuilt.append(Change(name=name, old=left.digest, new=right.digest))
    return Difference(
        added=tuple((name, after[name].version) for name in sorted(after.keys() - before.keys())),
        removed=tuple((name, before[name].version) for name in sorted(before.keys() - after.keys())),
        upgraded=tuple(upgraded),
        downgraded=tuple(downgraded),
        rebuilt=tuple(rebuilt),
    )


def _disagreement(one: Locked, wanted: Locked | None) -> str:
    if wanted is None:
        return f"{one.evra} is not in the lock"
    same = one.evra == wanted.evra if one.has_arch and wanted.has_arch else one.version == wanted.version
    if not same:
        return f"{wanted.evra} is locked, {one.evra} was chosen"
    if one.digest and wanted.digest and one.digest != wanted.digest:
        return f"{one.evra} is locked with {wanted.digest}, the package offered has {one.digest}"
    return ""


class _DuplicateKeyError(ValueError):
    pass


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise _DuplicateKeyError(f'the key "{name}" is given twice')
        found[name] = value
    return found


def _document(document: object, report: Report) -> Lockfile:
    if not isinstance(document, dict):
        report.error("a lock file must be an object")
        return Lockfile()
    known = ("metadata", "packages")
    for name in document:
        if name not in known:
            report.error(f'unknown key "{name}"{nearest(name, known)}', name)
    metadata, packages = document.get("metadata", {}), document.get("packages")
    if not isinstance(metadata, dict):
        report.error("must be an object", "metadata")
        metadata = {}
    if not isinstance(packages, dict):
        report.error('"packages" is missing' if packages is None else "must be an object", "packages")
        packages = {}
    entries = {name: _entry(name, value, report) for name, value in packages.items()}
    return Lockfile(metadata=metadata, packages={name: one for name, one in entries.items() if one is not None})


def _entry(name: str, value: object, report: Report) -> Locked | None:
    if not isinstance(value, dict) or not all(isinstance(part, str) for part in value.values()):
        report.error('must be an object such as {"evra": "1.2-3.amd64", "digest": "sha256:..."}', "packages", name)
        return None
    for key in value:
        if key not in _FIELDS:
            report.error(f'unknown key "{key}"{nearest(key, _FIELDS)}', "packages", name, key)
    digest = value.get("digest", "")
    if digest and not _DIGEST.fullmatch(digest):
        report.error(
            f'"{digest}" is not sha256: or sha512: with as many hexadecimal digits', "packages", name, "digest"
        )
    given = [key for key in ("evra", "evr") if value.get(key)]
    if len(given) != 1:
        report.error("needs exactly one of evra and evr", "packages", name)
        return None
    text, has_arch = value[given[0]], given[0] == "evra"
    if has_arch and not re.fullmatch(r"\S+\.[A-Za-z0-9_]+", text):
        report.error(f'"{text}" does not end in ".architecture"', "packages", name, "evra")
    return Locked(evra=text, digest=digest, has_arch=has_arch)
