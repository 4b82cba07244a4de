"""A Debian package file, as the foundry reads it: control fields, files with owners, maintainer scripts.

Opened with dpkg-deb, which knows every compression. Nothing here knows of RPM.
"""

from __future__ import annotations

import io
import re
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nestos.host import process

_FIELD = re.compile(r"^([A-Za-z0-9-]+):[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)
_ONE = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9.+-]*)(?::[a-z0-9]+)?\s*(?:\(\s*(?P<op><<|<=|=|>=|>>)\s*(?P<version>[^)\s]+)\s*\))?"
)
_MERGED = re.compile(r"^/(bin|sbin|lib|lib64)/")
_TOPS = ("/", "/bin", "/sbin", "/lib", "/lib64")


@dataclass(frozen=True, kw_only=True)
class Relation:
    """One package of a relation field: a name, and perhaps a comparison with a version."""

    name: str
    operator: str = ""
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A path of the package. ``path`` is absolute, below ``/usr`` where a merged system has it.

    ``content`` is a file's bytes, a link's target (UTF-8), or nothing.
    """

    path: str
    mode: int
    user: str
    group: str
    content: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Deb:
    """What a .deb says. ``control`` has the members of its control archive."""

    fields: Mapping[str, str]
    entries: tuple[Entry, ...]
    control: Mapping[str, str]

    @property
    def name(self) -> str:
        """The package's name."""
        return self.fields["Package"]

    @property
    def conffiles(self) -> frozenset[str]:
        """Paths of the configuration files."""
        lines = self.control.get("conffiles", "").splitlines()
        return frozenset(line.split()[-1] for line in lines if line.startswith("/"))

    @property
    def triggers(self) -> tuple[str, ...]:
        """What the package wants to hear of: paths below which others put files, and names."""
        lines = [line.split() for line in self.control.get("triggers", "").splitlines()]
        return tuple(words[1] for words in lines if len(words) == 2 and words[0].startswith("interest"))

    def relations(self, field: str) -> list[list[Relation]]:
        """The field's groups, each with its alternatives; ``Depends: a, b | c`` has two groups."""
        return groups(self.fields.get(field, ""))


def parse_fields(text: str) -> dict[str, str]:
    """The fields of a control stanza; of a folded one the lines are kept."""
    return dict(_FIELD.findall(text))


def groups(text: str) -> list[list[Relation]]:
    """The alternatives of each group of a relation field. Architecture qualifiers are dropped."""
    found = []
    for group in filter(None, (part.strip() for part in text.split(","))):
        matches = [_ONE.fullmatch(one.strip()) for one in group.split("|")]
        found.append(
            [
                Relation(name=match["name"], operator=match["op"] or "", version=match["version"] or "")
                for match in matches
                if match is not None
            ]
        )
        if None in matches:
            raise ValueError(f"not a relation: {group!r}")
    return found


def read(file: Path) -> Deb:
    """The package in ``file``."""
    control = {
        member.name.removeprefix("./"): content.decode(errors="replace")
        for member, content in _members(file, option="--ctrl-tarfile")
        if member.isfile()
    }
    return Deb(
        fields=parse_fields(control["control"]),
        entries=tuple(_entries(_members(file, option="--fsys-tarfile"))),
        control=control,
    )


def _members(file: Path, *, option: str) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tempfile.TemporaryFile() as tar:
        process.run(["dpkg-deb", option, str(file)], output=tar)
        tar.seek(0)
        with tarfile.open(fileobj=tar) as archive:
            return [(member, _content(archive, member)) for member in archive]


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.issym():
        return member.linkname.encode()
    stream = archive.extractfile(member) if member.isfile() or member.islnk() else io.BytesIO()
    assert stream is not None
    return stream.read()


def _entries(members: list[tuple[tarfile.TarInfo, bytes]]) -> Iterator[Entry]:
    for member, content in members:
        path = "/" + member.name.removeprefix("./").strip("/")
        if member.isdir() and path in _TOPS:
            continue  # the root, and folders that are links in a merged system
        kind = stat.S_IFDIR if member.isdir() else stat.S_IFLNK if member.issym() else stat.S_IFREG
        yield Entry(
            path=_MERGED.sub(r"/usr/\1/", path),
            mode=kind | member.mode,
            user=member.uname or "root",
            group=member.gname or "root",
            content=content,
        )
