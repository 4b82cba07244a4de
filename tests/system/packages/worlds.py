"""Small archives of both package families, made by the families' own tools, for one suite over both backends."""

from __future__ import annotations

import hashlib
import os
import platform
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import ClassVar

from nestos.compose import tools
from nestos.compose.workspace import Workspace
from nestos.host.packages import sources
from nestos.host.packages.apt import AptBackend
from nestos.host.packages.backend import PackageBackend, PackageSource, Request, RpmSource, Source
from nestos.host.packages.dnf import DnfBackend
from nestos.host.toolbox import Toolbox
from nestos.lab.webserver import WebServer
from tests.foundry import repository
from tests.foundry.packages import Foundry

TIME = 1_750_000_000
"""Of every package and index, seconds since 1970."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """A package of a small archive. ``essential`` matters to Debian's alone."""

    name: str
    version: str = "1.0-1"
    depends: str = ""
    recommends: str = ""
    conflicts: str = ""
    provides: str = ""
    essential: bool = False


@dataclass(kw_only=True)
class World(ABC):
    """One family: its archive in ``folder/archive``, served by ``server``, and a backend of its own."""

    folder: Path
    tools: Toolbox
    server: WebServer | None = None
    key: repository.Key = field(init=False)
    architecture: ClassVar[str]

    def __post_init__(self) -> None:
        self.archive.mkdir(parents=True)
        (self.folder / "pool").mkdir()
        self.key = repository.make_key(self.folder / "key", runner=self.tools)

    @property
    def archive(self) -> Path:
        """The folder that is served."""
        return self.folder / "archive"

    @property
    def pool(self) -> Path:
        """The backend's pool."""
        return self.folder / "pool"

    @abstractmethod
    def publish(self, items: Sequence[Item]) -> None:
        """Makes the archive anew of ``items``."""

    @abstractmethod
    def backend(self) -> PackageBackend:
        """A backend whose state is in ``folder``."""

    @abstractmethod
    def source(self) -> Source:
        """The archive as a source."""

    @abstractmethod
    def file_of(self, item: str) -> Path:
        """The package file of ``item`` in the archive."""

    def request(self, *packages: str, excluded: Sequence[str] = (), pins: Mapping[str, str] | None = None) -> Request:
        """A request for packages of this archive, without what they recommend."""
        return Request(
            packages=packages,
            excluded=tuple(excluded),
            pins=pins or {},
            architecture=self.architecture,
            sources=(self.source(),),
        )

    @property
    def serving(self) -> WebServer:
        """The server, which runs."""
        assert self.server is not None
        return self.server

    @property
    def address(self) -> str:
        """Where the archive is served."""
        return f"http://127.0.0.1:{self.serving.port}/"


class DebianWorld(World):
    """dpkg-deb and an index of its stanzas, signed in line."""

    architecture = "amd64"

    def publish(self, items: Sequence[Item]) -> None:
        stanzas = []
        for item in (*items, Item(name="core", essential=True)):
            bench = self.folder / "bench" / item.name
            (bench / "DEBIAN").mkdir(parents=True, exist_ok=True)
            control = self._control(item)
            (bench / "DEBIAN/control").write_text(control)
            (bench / "usr/share").mkdir(parents=True, exist_ok=True)
            (bench / "usr/share" / item.name).write_bytes(os.urandom(4000))
            file = self.file_of(item.name)
            self.tools(["dpkg-deb", "--build", "--root-owner-group", "-Zgzip", str(bench), str(file)])
            data = file.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            stanzas.append(f"{control}Filename: {file.name}\nSize: {len(data)}\nSHA256: {digest}\n")
        index = "\n".join(stanzas)
        place = self.archive / "dists/test"
        (place / "main/binary-amd64").mkdir(parents=True, exist_ok=True)
        (place / "main/binary-amd64/Packages").write_text(index)
        line = f" {hashlib.sha256(index.encode()).hexdigest()} {len(index.encode())} main/binary-amd64/Packages\n"
        release = (
            f"Suite: test\nCodename: test\nComponents: main\nArchitectures: amd64\nDate: {formatdate(TIME)}\nSHA256:\n"
        )
        (place / "Release").write_text(release + line)
        (place / "InRelease").unlink(missing_ok=True)
        options = ["gpg", f"--homedir={self.key.home}", "--batch", "--quiet", "--clearsign"]
        self.tools([*options, f"--output={place}/InRelease", f"{place}/Release"])

    def _control(self, item: Item) -> str:
        fields = {
            "Package": item.name,
            "Version": item.version,
            "Architecture": "amd64",
            "Maintainer": "Tests <tests@test.invalid>",
            "Essential": "yes" if item.essential else "",
            "Depends": item.depends,
            "Recommends": item.recommends,
            "Conflicts": item.conflicts,
            "Provides": item.provides,
            "Description": "a package of the tests",
        }
        return "".join(f"{name}: {value}\n" for name, value in fields.items() if value)

    def backend(self) -> PackageBackend:
        return AptBackend(
            runner=self.tools, work=self.folder / "apt", pool=self.pool, keyrings=str(self.key.public.parent)
        )

    def source(self) -> Source:
        return PackageSource(name="test", uri=self.address, suite="test", components=("main",))

    def file_of(self, item: str) -> Path:
        return self.archive / f"{item}.deb"


class RpmWorld(World):
    """rpmbuild, rpmsign and createrepo_c."""

    architecture = "x86_64"

    def publish(self, items: Sequence[Item]) -> None:
        foundry = Foundry(folder=self.folder / "rpms", timestamp=TIME)
        files = []
        for item in (*items, Item(name="core")):
            made = foundry.build(spec(item), name=item.name, runner=self.tools)
            files.append(made.replace(self.folder / f"{item.name}.rpm"))
        repository.publish(files, self.archive, timestamp=TIME, runner=self.tools, key=self.key)

    def backend(self) -> PackageBackend:
        return DnfBackend(runner=self.tools, work=self.folder / "dnf", pool=self.pool)

    def source(self) -> Source:
        key = self.key.public.read_text()
        return RpmSource(name="test", addresses=(self.address,), keys=(key,), check_index=True)

    def file_of(self, item: str) -> Path:
        return self.archive / "Packages" / f"{item}.rpm"


def spec(item: Item, *, body: str = "", install: str = "", files: str = "") -> str:
    """A spec file; ``body`` are scriptlets, ``install`` makes more files, ``files`` lists them."""
    epoch, colon, rest = item.version.rpartition(":")
    version, _, release = rest.partition("-")
    tags = {
        "Requires": item.depends,
        "Recommends": item.recommends,
        "Conflicts": item.conflicts,
        "Provides": item.provides,
    }
    lines = [f"{tag}: {value}" for tag, value in tags.items() if value]
    lines += [f"Epoch: {epoch}"] if colon else []
    return (
        f"Name: {item.name}\nVersion: {version}\nRelease: {release}\nSummary: a package of the tests\n"
        "License: none\nBuildArch: noarch\nAutoReqProv: no\n" + "\n".join(lines) + "\n%description\nTests.\n"
        "%install\nmkdir -p %{buildroot}/usr/share\n"
        f"head -c 4000 /dev/urandom >%{{buildroot}}/usr/share/{item.name}\n{install}\n"
        f"{body}\n%files\n/usr/share/{item.name}\n{files}\n"
    )


def workspace() -> Workspace:
    """The cache whose tools the suite uses."""
    return Workspace.default()


def lacking() -> str:
    """Why the suite cannot run here; empty if it can."""
    if os.geteuid() != 0:
        return "only root runs package tools"
    origins = sources.debian(tools.RELEASE)
    for kind in tools.Kind:
        name = tools.digest(platform.machine(), origins, kind=kind)
        if not (workspace().home / "tools" / name / "root").exists():
            return f"the tools tree ({kind}) is not in the cache yet; a compose makes it"
    return ""
