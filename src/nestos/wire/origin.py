"""What a node's administrator asked for besides the release, and what came of it. Standard library only.

``Origin`` is the wish: it is carried from slot to slot and applied again to every new base. ``Layers`` is the outcome
on one base. Both stand in ``deployment.json`` and in the metadata of the local commit. Versions of a program older than
the file keep what they do not know (``unknown``), so that going back to an old release loses no wish.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nestos.base.errors import InputError, StateError

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class PackageFile:
    """A package that came as a file. ``sha256`` (hexadecimal) names the node's copy of it."""

    name: str
    version: str
    architecture: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name}-{self.version}.{self.architecture}"


@dataclass(frozen=True, kw_only=True)
class Initramfs:
    """``regenerate``: dracut runs on this node, with ``arguments``. ``etc``: files of /etc, added to the image."""

    regenerate: bool = False
    arguments: tuple[str, ...] = ()
    etc: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The wish.

    ``packages`` are names for the package sources, ``local`` packages that came as files; ``removals`` names of the
    base's packages to take out, ``replacements`` files to put in place of the base's. ``pinned``: the slot is not
    written by a transaction.
    """

    packages: tuple[str, ...] = ()
    local: tuple[PackageFile, ...] = ()
    removals: tuple[str, ...] = ()
    replacements: tuple[PackageFile, ...] = ()
    initramfs: Initramfs = field(default_factory=Initramfs)
    pinned: bool = False
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_packages(self) -> bool:
        """True where a package of the tree may differ from the base's."""
        return bool(self.packages or self.local or self.removals or self.replacements)

    @property
    def changes_tree(self) -> bool:
        """True where the slot cannot hold the release as it was signed."""
        return self.has_packages or self.initramfs != Initramfs()

    @property
    def files(self) -> tuple[PackageFile, ...]:
        """Every package file that must stay on the node for this wish."""
        return (*self.local, *self.replacements)

    def install(self, *, packages: Iterable[str] = (), files: Iterable[PackageFile] = ()) -> Origin:
        """With these besides; a file takes the place of another of the same name."""
        given = tuple(files)
        names = {file.name for file in given}
        kept = tuple(file for file in self.local if file.name not in names)
        return replace(self, packages=_joined(self.packages, packages), local=(*kept, *given))

    def uninstall(self, names: Iterable[str]) -> Origin:
        """Without these. Raises ``InputError`` naming those that were never asked for."""
        unwanted = set(names)
        absent = sorted(unwanted - set(self.packages) - {file.name for file in self.local})
        if absent:
            raise InputError(
                f"not layered on this node: {', '.join(absent)}",
                hint="a package of the release itself goes with: override remove",
                kind="not-requested",
            )
        return replace(
            self,
            packages=tuple(name for name in self.packages if name not in unwanted),
            local=tuple(file for file in self.local if file.name not in unwanted),
        )

    def override_remove(self, names: Iterable[str]) -> Origin:
        """Without these packages of the base."""
        given = tuple(names)
        kept = tuple(file for file in self.replacements if file.name not in given)
        return replace(self, removals=_joined(self.removals, given), replacements=kept)

    def override_replace(self, files: Iterable[PackageFile]) -> Origin:
        """With these in place of the base's."""
        given = tuple(files)
        names = {file.name for file in given}
        return replace(
            self,
            removals=tuple(name for name in self.removals if name not in names),
            replacements=(*(file for file in self.replacements if file.name not in names), *given),
        )

    def override_reset(self, names: Iterable[str]) -> Origin:
        """The base's own again for these names. Raises ``InputError`` for a name without an override."""
        unwanted = set(names)
        absent = sorted(unwanted - set(self.removals) - {file.name for file in self.replacements})
        if absent:
            raise InputError(f"no override on this node for: {', '.join(absent)}", kind="not-requested")
        return replace(
            self,
            removals=tuple(name for name in self.removals if name not in unwanted),
            replacements=tuple(file for file in self.replacements if file.name not in unwanted),
        )


@dataclass(frozen=True, kw_only=True)
class Layers:
    """What became of a wish on one base: name to version of what was added and removed, to (old, new) of what was
    replaced; ``inactive`` are names asked for that the base has itself."""

    added: Mapping[str, str] = field(default_factory=dict)
    removed: Mapping[str, str] = field(default_factory=dict)
    replaced: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    inactive: tuple[str, ...] = ()


def document(origin: Origin) -> dict[str, Any]:
    """The JSON form."""
    initramfs = origin.initramfs
    return {
        **origin.unknown,
        "version": VERSION,
        "packages": list(origin.packages),
        "local": [_file_document(file) for file in origin.local],
        "removals": list(origin.removals),
        "replacements": [_file_document(file) for file in origin.replacements],
        "initramfs": {
            "regenerate": initramfs.regenerate,
            "arguments": list(initramfs.arguments),
            "etc": list(initramfs.etc),
        },
        "pinned": origin.pinned,
    }


def parse(given: object, *, source: str) -> Origin:
    """Reads the JSON form. Raises ``StateError`` naming ``source`` and the field where it is not usable."""
    fields = _mapping(given, source=source)
    initramfs = _mapping(fields.get("initramfs", {}), source=f"{source}: initramfs")
    known = ("version", "packages", "local", "removals", "replacements", "initramfs", "pinned")
    return Origin(
        packages=_texts(fields, "packages", source=source),
        local=_files(fields, "local", source=source),
        removals=_texts(fields, "removals", source=source),
        replacements=_files(fields, "replacements", source=source),
        initramfs=Initramfs(
            regenerate=initramfs.get("regenerate") is True,
            arguments=_texts(initramfs, "arguments", source=source),
            etc=_texts(initramfs, "etc", source=source),
        ),
        pinned=fields.get("pinned") is True,
        unknown={key: value for key, value in fields.items() if key not in known},
    )


def layers_document(layers: Layers) -> dict[str, Any]:
    """The JSON form of ``Layers``."""
    return {
        "added": dict(layers.added),
        "removed": dict(layers.removed),
        "replaced": {name: list(versions) for name, versions in layers.replaced.items()},
        "inactive": list(layers.inactive),
    }


def parse_layers(given: object, *, source: str) -> Layers:
    """Reads the JSON form of ``Layers``. Raises ``StateError`` as ``parse``."""
    fields = _mapping(given, source=source)
    replaced = {}
    for name, versions in _mapping(fields.get("replaced", {}), source=f"{source}: replaced").items():
        old, new = _texts({"versions": versions}, "versions", source=f"{source}: {name}")
        replaced[name] = (old, new)
    return Layers(
        added=_versions(fields, "added", source=source),
        removed=_versions(fields, "removed", source=source),
        replaced=replaced,
        inactive=_texts(fields, "inactive", source=source),
    )


def _joined(known: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *more)))


def _file_document(file: PackageFile) -> dict[str, str]:
    return {
        "name": file.name,
        "version": file.version,
        "architecture": file.architecture,
        "sha256": file.sha256,
    }


def _mapping(value: object, *, source: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise StateError(f"{source} is not a JSON object")
    return value


def _texts(fields: Mapping[str, Any], name: str, *, source: str) -> tuple[str, ...]:
    value = fields.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise StateError(f'{source}: "{name}" is not a list of texts')
    return tuple(value)


def _versions(fields: Mapping[str, Any], name: str, *, source: str) -> dict[str, str]:
    found = _mapping(fields.get(name, {}), source=f"{source}: {name}")
    if not all(isinstance(version, str) for version in found.values()):
        raise StateError(f'{source}: "{name}" has a version that is no text')
    return found


def _files(fields: Mapping[str, Any], name: str, *, source: str) -> tuple[PackageFile, ...]:
    entries = fields.get(name, [])
    if not isinstance(entries, list):
        raise StateError(f'{source}: "{name}" is not a list')
    found = []
    for entry in entries:
        given = _mapping(entry, source=f"{source}: {name}")
        words = {key: str(given[key]) for key in _FILE_FIELDS if isinstance(given.get(key), str)}
        if len(words) < len(_FILE_FIELDS):
            raise StateError(f'{source}: "{name}" has an entry without {", ".join(_FILE_FIELDS)}')
        found.append(PackageFile(**words))
    return tuple(found)


_FILE_FIELDS = ("name", "version", "architecture", "sha256")
