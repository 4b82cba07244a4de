"""A base tree, a node around it and a package source: what layering works on, with the real apt, dpkg and bubblewrap.

The base is the tools tree in a release's layout, a Debian of its own, with every file a hard link to it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from nestos.base.errors import NestosError
from nestos.base.paths import Root
from nestos.compose.workspace import Workspace
from nestos.host.process import run
from nestos.layout import toplevel, variable
from tests.system.layers.debs import Keys, index

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
    """A tree in a release's layout whose files are links to the tools tree's."""
    tools = tools_tree()
    assert tools is not None
    run(["cp", "--archive", "--link", tools, target])
    for name in ("passwd", "group"):  # the builder's; the layout reads them
        assert (target / "etc" / name).exists()
    for left in ("etc/apt/sources.list", "etc/dpkg/dpkg.cfg.d"):
        run(["rm", "--recursive", "--force", target / left])
    modules = target / "usr/lib/modules" / KERNEL
    modules.mkdir(parents=True, exist_ok=True)
    (modules / "vmlinuz").write_text("kernel")
    (modules / "initramfs.img").write_text("initramfs")
    variable.settle(target)
    for link, place in toplevel.LINKS.items():
        run(["rm", "--recursive", "--force", target / link])
        (target / link).symlink_to(place)
    toplevel.move_etc(target)
    return target


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
