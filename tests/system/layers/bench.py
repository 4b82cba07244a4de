"""A base tree, a node around it and a package source: what layering works on, with the real apt, dpkg and bubblewrap.

The base is made of packages of the tools tree, a Debian of its own, in a release's layout; every file is a hard link.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from nestos.base.errors import NestosError
from nestos.base.paths import Root
from nestos.compose.workspace import Workspace
from nestos.host.process import run
from nestos.layout import toplevel, variable
from tests.debs import Keys, index

KERNEL = "6.12.0-test"
_PROGRAMS = ("apt-get", "dpkg-deb", "bwrap", "unshare", "gpg", "gpgconf")


def tools_tree() -> Path | None:
    """The root of the tools tree in the cache, if a compose has made one."""
    found = sorted((Workspace.default().home / "tools").glob("*/root"))
    return next((path for path in found if (path / "usr/bin/ostree").exists()), None)


def missing() -> str:
    """Why layering cannot be tried here, or the empty string."""
    if os.geteuid() != 0:
        return "only root may mount overlays"
    absent = [name for name in _PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"programs are missing: {', '.join(absent)}"
    if tools_tree() is None:
        return "there is no tools tree yet: ./nestos compose makes it"
    try:
        run(["unshare", "--mount", "--propagation=private", "mount", "-t", "tmpfs", "none", "/mnt"])
    except NestosError as error:
        return f"there are no mount namespaces: {error}"
    return ""


def base_tree(target: Path) -> Path:
    """A tree in a release's layout: the essential packages of the tools tree, and apt, as hard links."""
    tools = tools_tree()
    assert tools is not None
    stanzas = {_field(text, "Package"): text for text in _stanzas(tools / "var/lib/dpkg/status")}
    names = _closure(stanzas, [name for name, text in stanzas.items() if _field(text, "Essential")] + ["apt", "passwd"])
    target.mkdir()
    for path in sorted({path for name in names for path in _files(tools, name)}):
        _link(tools / path, target / path)
    for name in ("passwd", "group", "shadow", "gshadow", "ld.so.cache"):
        shutil.copy2(tools / "etc" / name, target / "etc" / name)
    for name in ("bin", "sbin", "lib", "lib64"):
        if not (target / name).is_symlink():
            (target / name).symlink_to(f"usr/{name}")
    _database(tools, target, names=names, stanzas=stanzas)
    modules = target / "usr/lib/modules" / KERNEL
    modules.mkdir(parents=True, exist_ok=True)
    (modules / "vmlinuz").write_text("kernel")
    (modules / "initramfs.img").write_text("initramfs")
    variable.settle(target)
    for name in ("boot", "dev", "proc", "run", "sys", "tmp", "sysroot"):
        (target / name).mkdir(exist_ok=True)
    for link, place in toplevel.LINKS.items():
        run(["rm", "--recursive", "--force", target / link])
        (target / link).symlink_to(place)
    toplevel.move_etc(target)
    return target


def _link(source: Path, place: Path) -> None:
    if source.is_dir() and not source.is_symlink():
        place.mkdir(parents=True, exist_ok=True)
        shutil.copystat(source, place)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, place, follow_symlinks=False)


def _database(tools: Path, target: Path, *, names: list[str], stanzas: dict[str, str]) -> None:
    info = target / "var/lib/dpkg/info"
    info.mkdir(parents=True, exist_ok=True)
    for folder in ("updates", "alternatives", "triggers"):
        (info.parent / folder).mkdir(exist_ok=True)
    for name in names:
        for file in [*(tools / "var/lib/dpkg/info").glob(f"{name}.*"), *_of_architecture(tools, name)]:
            (info / file.name).hardlink_to(file)
    (info.parent / "status").write_text("\n\n".join(stanzas[name] for name in names) + "\n")


def _of_architecture(tools: Path, name: str) -> list[Path]:
    return list((tools / "var/lib/dpkg/info").glob(f"{name}:*"))


def _files(tools: Path, name: str) -> list[str]:
    info = tools / "var/lib/dpkg/info"
    listing = next(iter([*info.glob(f"{name}.list"), *info.glob(f"{name}:*.list")]))
    found = []
    for line in listing.read_text().splitlines():
        # usr-merge: packages may still name /lib and /bin.
        place = tools / line.lstrip("/")
        if line != "/." and place.is_symlink() | place.exists() and place.parent.resolve().is_relative_to(tools):
            found.append(str(place.parent.resolve().relative_to(tools) / place.name))
    return found


def _closure(stanzas: dict[str, str], names: list[str]) -> list[str]:
    provided = {
        word.split()[0]: name
        for name, text in stanzas.items()
        for word in _field(text, "Provides").split(",")
        if word.strip()
    }
    found: dict[str, None] = {}
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found[name] = None
        for kind in ("Depends", "Pre-Depends"):
            for group in filter(None, _field(stanzas[name], kind).split(",")):
                words = [choice.split()[0].split(":")[0] for choice in group.split("|")]
                known = [provided.get(word, word) for word in words if word in stanzas or word in provided]
                real = [word for word in words if word in stanzas]
                pending += (real or known)[:1]
    return sorted(found)


def _stanzas(status: Path) -> list[str]:
    return [text for text in status.read_text().split("\n\n") if text.strip()]


def _field(stanza: str, name: str) -> str:
    match = re.search(rf"^{name}: (.*)$", stanza, flags=re.MULTILINE)
    return match[1] if match else ""


class Source:
    """A package source of the node whose /etc is in ``root``."""

    def __init__(self, folder: Path, *, root: Root) -> None:
        self.folder = folder / "repository"
        self.folder.mkdir()
        self.keys = Keys(folder / "gnupg")
        self._etc = root.join("/etc/apt")
        for name in ("apt.conf.d", "trusted.gpg.d", "sources.list.d", "preferences.d", "auth.conf.d"):
            (self._etc / name).mkdir(parents=True)

    def publish(self, *, signed: bool = True) -> None:
        """Indexes what is in the folder and makes the node know it."""
        index(self.folder)
        (self.folder / "InRelease").unlink(missing_ok=True)
        if signed:
            self.keys.sign(self.folder)
        (self._etc / "sources.list").write_text(f"deb [signed-by={self.keys.public}] file:{self.folder} ./\n")
