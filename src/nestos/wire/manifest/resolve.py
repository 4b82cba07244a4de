"""From the merged input to the resolved ``Manifest``: variables, defaults, files, and rules across keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from nestos.base.report import Finding, Report, Severity, nearest
from nestos.wire import version
from nestos.wire.manifest import condition, files, rpm_repositories
from nestos.wire.manifest.document import Node
from nestos.wire.manifest.extension import size_bytes
from nestos.wire.manifest.fragments import Merged
from nestos.wire.manifest.model import (
    Backend,
    Compression,
    Manifest,
    RemovedFromPackage,
    Repository,
    Script,
    SystemUser,
)

_LEVELS = {"lz4": 0, "none": 0, "lz4hc": 12, "zstd": 22}


def resolve(merged: Merged, *, arch: str, today: date, report: Report) -> Manifest:
    """The manifest. It means something only if ``report`` holds no error afterwards."""
    reader = _Reader(entries=merged.entries, variables=merged.variables, report=report, broken=merged.broken)
    ours = reader.below("nestos")
    backend = Backend(ours.text("backend") or Backend.APT)
    packages = _packages(reader, ours, backend=backend)
    fields: dict[str, Any] = {
        **_identity(reader, today=today),
        **_content(reader),
        **_accounts(ours),
        **_platform(reader, ours),
    }
    repositories = _repositories(reader, backend=backend)
    return Manifest(
        arch=arch,
        backend=backend,
        repositories=_chosen(reader, repositories),
        packages=tuple(packages),
        excluded_packages=_excluded(reader, packages),
        kernel_package=ours.text("kernel-package"),
        recommends=reader.flag("recommends", default=True),
        sources=merged.files,
        **fields,
    )


@dataclass
class _Reader:
    """Typed access to checked entries, with variables replaced."""

    entries: Mapping[str, Node]
    variables: condition.Variables
    report: Report
    broken: frozenset[str] = frozenset()

    def below(self, key: str) -> _Reader:
        """A reader of the mapping under ``key``; of nothing where it is absent."""
        node = self.entries.get(key)
        return _Reader(entries=node.entries if node else {}, variables=self.variables, report=self.report)

    def text(self, key: str) -> str | None:
        node = self.entries.get(key)
        return None if node is None else condition.substitute(node, self.variables, self.report)

    def flag(self, key: str, *, default: bool) -> bool:
        node = self.entries.get(key)
        return default if node is None else node.flag

    def nodes(self, key: str) -> tuple[Node, ...]:
        node = self.entries.get(key)
        return () if node is None else node.items

    def texts(self, key: str) -> tuple[str, ...]:
        """The texts of a list as written, each once."""
        return tuple(dict.fromkeys(node.text for node in self.nodes(key)))

    def demand(self, key: str, why: str) -> None:
        """Reports a key that must be there and is not."""
        if key not in self.entries and key not in self.broken:
            self.report.extend([Finding(severity=Severity.ERROR, message=f'"{key}" is missing: {why}')])

    def data(self, key: str) -> dict[str, object]:
        """A mapping of free data; texts at its top level take variables."""
        found: dict[str, object] = {}
        for name, node in self.below(key).entries.items():
            is_text = isinstance(node.value, str)
            found[name] = condition.substitute(node, self.variables, self.report) if is_text else node.plain()
        return found


def _identity(reader: _Reader, *, today: date) -> dict[str, Any]:
    reader.demand("ref", "a commit needs a branch")
    template = reader.text("automatic-version-prefix")
    prefix: str | None = None
    if template is not None:
        try:
            prefix = version.expand_date(template, today=today)
        except ValueError as error:
            reader.entries["automatic-version-prefix"].say(reader.report, str(error))
    return {
        "ref": reader.text("ref") or "",
        "releasever": reader.text("releasever"),
        "version_template": template,
        "version_prefix": prefix,
        "version_suffix": reader.text("automatic-version-suffix") or ".",
        "commit_metadata": reader.data("add-commit-metadata"),
        "metadata": reader.data("metadata"),
        "gpg_key": reader.text("gpg-key"),
    }


def _repositories(reader: _Reader, *, backend: Backend) -> dict[str, Repository]:
    found: dict[str, Repository] = {}
    for name, node in reader.below("repositories").entries.items():
        one = _Reader(entries=node.entries, variables=reader.variables, report=reader.report)
        address = one.text("packages-from") or "system"
        suite = one.text("suite") or ""
        if backend is Backend.APT and not suite:
            node.say(reader.report, f'the repository "{name}" needs a "suite" with the apt backend', at_key=True)
        rpm = None
        if backend is Backend.DNF:
            rpm = rpm_repositories.resolve(name, node, variables=reader.variables, report=reader.report)
        else:
            rpm_repositories.refuse(name, node, reader.report)
        found[name] = Repository(
            rpm=rpm,
            name=name,
            address=None if address == "system" else address,
            archive=one.text("archive") or name,
            suite=suite,
            components=one.texts("components") or ("main",),
        )
    return found


def _chosen(reader: _Reader, known: Mapping[str, Repository]) -> tuple[Repository, ...]:
    reader.demand("repos", "packages come from repositories")
    for node in reader.nodes("repos"):
        if node.text not in known and "repositories" not in reader.broken:
            hint = nearest(node.text, known)
            node.say(reader.report, f'no repository "{node.text}" is defined in "repositories"{hint}')
    return tuple(known[name] for name in reader.texts("repos") if name in known)


def _packages(reader: _Reader, ours: _Reader, *, backend: Backend) -> dict[str, Node]:
    reader.demand("packages", "a tree is made of packages")
    found = _names(reader.nodes("packages"), reader.report)
    for name, node in found.items():
        if backend is Backend.APT and " " in name:
            node.say(reader.report, f'"{name}": version queries are not supported by the apt backend; use a lock file')
    kernel = ours.text("kernel-package")
    if kernel is not None:
        found.setdefault(kernel, ours.entries["kernel-package"])
    return found


def _names(nodes: Iterable[Node], report: Report) -> dict[str, Node]:
    """Package names or queries, each once; an entry in single quotes is one query, spaces and all."""
    found: dict[str, Node] = {}
    for node in nodes:
        text = node.text.strip()
        quoted = re.fullmatch(r"'(.+)'", text)
        for name in [quoted.group(1).strip()] if quoted else text.split():
            if name.startswith(("-", "'")):
                node.say(report, f'"{name}" is not a package name')
            found.setdefault(name, node)
    return found


def _excluded(reader: _Reader, packages: Mapping[str, Node]) -> tuple[str, ...]:
    excluded = _names(reader.nodes("exclude-packages"), reader.report)
    for name, node in excluded.items():
        if name in packages:
            other = packages[name].place
            node.say(reader.report, f'"{name}" is excluded here and wanted in "packages" ({other})')
    return tuple(excluded)


def _content(reader: _Reader) -> dict[str, Any]:
    report = reader.report
    scripts = [Script(text=_runnable(node.text), origin=node.place) for node in reader.nodes("postprocess")]
    last = reader.entries.get("postprocess-script")
    if last is not None and (text := files.read_text(last, report)) is not None:
        scripts.append(Script(text=_runnable(text), origin=str(files.beside(last))))
    for node in reader.nodes("remove-files"):
        if ".." in node.text.split("/") or not node.text.strip("/"):
            node.say(report, f'"{node.text}" is not a path inside the tree')
    added = [item for row in reader.nodes("add-files") for item in files.added_files(row, report)]
    return {
        "units": reader.texts("units"),
        "default_target": reader.text("default-target"),
        "add_files": tuple(added),
        "remove_files": reader.texts("remove-files"),
        "remove_from_packages": _removed(reader),
        "scripts": tuple(scripts),
    }


def _runnable(text: str) -> str:
    return text if text.startswith("#!") else f"#!/bin/sh -e\n{text}"


def _removed(reader: _Reader) -> tuple[RemovedFromPackage, ...]:
    found = []
    for row in reader.nodes("remove-from-packages"):
        package, *patterns = row.items
        for node in patterns:
            try:
                re.compile(node.text)
            except re.error as error:
                node.say(reader.report, f'"{node.text}" is not a regular expression: {error}')
        found.append(RemovedFromPackage(package=package.text, patterns=tuple(node.text for node in patterns)))
    return tuple(found)


def _accounts(ours: _Reader) -> dict[str, Any]:
    group_nodes = ours.below("groups").entries
    groups = {name: node.number for name, node in group_nodes.items()}
    user_nodes = ours.below("users").entries
    users = {name: _system_user(name, node, groups=groups) for name, node in user_nodes.items()}
    _report_shared(group_nodes, groups, ours.report)
    _report_shared(user_nodes, {name: user.uid for name, user in users.items()}, ours.report)
    return {"system_users": users, "system_groups": groups}


def _system_user(name: str, node: Node, *, groups: Mapping[str, int]) -> SystemUser:
    if not isinstance(node.value, Mapping):
        return SystemUser(uid=node.number, gid=groups.get(name, node.number))
    uid = node.entries["uid"].number
    gid = node.entries["gid"].number if "gid" in node.entries else groups.get(name, uid)
    texts = {key: node.entries[key].text for key in ("description", "home", "shell") if key in node.entries}
    return SystemUser(uid=uid, gid=gid, **texts)


def _report_shared(nodes: Mapping[str, Node], numbers: Mapping[str, int], report: Report) -> None:
    owners: dict[int, str] = {}
    for name, number in numbers.items():
        owner = owners.setdefault(number, name)
        if owner != name:
            nodes[name].say(report, f'"{name}" and "{owner}" have the same id {number}')


def _platform(reader: _Reader, ours: _Reader) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "initramfs_args": tuple(node.text for node in reader.nodes("initramfs-args")),
        "kargs": tuple(node.text for node in ours.below("boot").nodes("kargs")),
    }
    if (size := ours.entries.get("slot-size")) is not None:
        fields["slot_size_bytes"] = size_bytes(size)
        if size_bytes(size) % 4096:
            size.say(reader.report, "must be a multiple of 4096 bytes, the block of the system partition")
    if "compression" in ours.entries:
        fields["compression"] = _compression(ours.entries["compression"], reader.report)
    return fields


def _compression(node: Node, report: Report) -> Compression:
    algorithm = node.entries["algorithm"].text
    level = node.entries.get("level")
    if level is not None and level.number > _LEVELS[algorithm]:
        most = _LEVELS[algorithm]
        level.say(report, f"{algorithm} has levels up to {most}" if most else f"{algorithm} has no levels")
    cluster = node.entries.get("cluster-size")
    size = size_bytes(cluster) if cluster is not None else Compression.cluster_size_bytes
    if cluster is not None and (size & (size - 1) or not 4096 <= size <= 1 << 20):
        cluster.say(report, "must be a power of two from 4 KiB to 1 MiB")
    return Compression(algorithm=algorithm, level=level.number if level else None, cluster_size_bytes=size)
