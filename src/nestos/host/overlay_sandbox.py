"""A place where maintainer scripts may do their work and nothing else.

The tree lies below an overlay whose upper folder takes every change, so no file that a repository shares by hard link
is ever written. Inside there is no network, a private ``/var``, ``/tmp`` and ``/run``, and few capabilities; of the
running system nothing is visible but the kernel. All mounts live in a mount namespace of their own and end with the
command, however that ends.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Unpack

from nestos.base.errors import InputError
from nestos.host.process import Completed, Runner, RunOptions

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What dpkg and maintainer scripts need as root; none of these reaches beyond the files they see.
_CAPABILITIES = (
    *("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL"),
    *("CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT"),
)
_OPTIONS = "lowerdir={lower},upperdir={upper},workdir={work},redirect_dir=off,index=off,metacopy=off"
_SCRIPT = 'mount -t overlay overlay -o "$1" "$2" && shift 2 && exec "$@"'
_OVERLAY_XATTRS = "trusted.overlay."
# Where the links of a release lead, and what scripts take for granted.
_SKELETON = ("cache", "log", "tmp", "spool", "opt", "home", "srv", "mnt", "roothome", "usrlocal")
# Services are started by a node's boot, never by a script that runs while a slot is being made.
_NO_SERVICES = ("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")


class OverlaySandbox:
    """A ``Runner`` inside ``tree``, whose changes are kept in ``work`` until ``fold`` puts them into the tree.

    ``var_places`` maps folders below /var to their places in the tree, as the package database; ``visible`` are files
    and folders of the node that can be read inside at their own paths.
    """

    def __init__(
        self,
        runner: Runner,
        *,
        tree: Path,
        work: Path,
        var_places: Mapping[str, str],
        visible: Sequence[Path] = (),
    ) -> None:
        self._runner = runner
        self._tree = tree
        self._visible = tuple(visible)
        self._places = dict(var_places)
        self.var = work / "var"
        self._upper = work / "upper"
        self._overlay_work = work / "work"
        self._merged = work / "merged"
        for folder in (self._upper, self._overlay_work, self._merged, self.var):
            folder.mkdir(parents=True)
        self._made: list[Path] = []
        for name, place in self._places.items():
            (self.var / name).mkdir(parents=True, exist_ok=True)
            if not (tree / place).is_dir():
                (tree / place).mkdir(parents=True)
                self._made.append(tree / place)
        for name in _SKELETON:
            (self.var / name).mkdir(exist_ok=True)
        policy = self._upper / _NO_SERVICES[0]
        self._in_upper(Path(_NO_SERVICES[0]).parent)
        policy.write_text(_NO_SERVICES[1])
        policy.chmod(0o755)

    def __call__(self, command: Sequence[str | os.PathLike[str]], /, **options: Unpack[RunOptions]) -> Completed:
        """As ``process.run``, inside."""
        environment = {"PATH": _PATH, "HOME": "/root", "TMPDIR": "/tmp"} | dict(options.get("environment") or {})
        inside: RunOptions = {**options, "environment": environment, "cwd": None}
        mount = _OPTIONS.format(lower=self._tree, upper=self._upper, work=self._overlay_work)
        outer = ["unshare", "--mount", "--propagation=private", "sh", "-c", _SCRIPT, "overlay-sandbox", mount]
        return self._runner([*outer, os.fspath(self._merged), *self._bubblewrap(), "--", *command], **inside)

    def _bubblewrap(self) -> list[str]:
        merged = os.fspath(self._merged)
        line = ["bwrap", "--bind", merged, "/", "--bind", f"{merged}/usr/etc", "/etc"]
        line += ["--bind", os.fspath(self.var), "/var"]
        for name, place in self._places.items():
            line += ["--bind", f"{merged}/{place}", f"/var/{name}"]
        line += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run"]
        for path in self._visible:
            # Below /run, which is empty: everything else inside is the tree's.
            line += ["--ro-bind", os.fspath(path), os.fspath(inside_path(path))]
        line += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--unshare-cgroup-try"]
        line += ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
        for name in _CAPABILITIES:
            line += ["--cap-add", name]
        return line

    def fold(self) -> list[str]:
        """Puts every change into the tree and returns the changed paths, relative to it.

        Raises ``InputError`` for a device node, which no commit can hold.
        """
        (self._upper / _NO_SERVICES[0]).unlink(missing_ok=True)
        changed = sorted(_fold(self._upper, self._tree, base=self._tree))
        for place in self._made:
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()
        for folder in (self._upper, self._overlay_work):
            shutil.rmtree(folder)
            folder.mkdir()
        return changed

    def leave_var(self) -> Path:
        """The private ``/var`` with nothing but what was made in it. Nothing can be run inside any more."""
        for name in (*self._places, *_SKELETON):
            place = self.var / name
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()
        return self.var

    def _in_upper(self, folder: Path) -> None:
        """Makes ``folder`` in the upper layer with the attributes of the tree's, which it stands in for."""
        for part in [*reversed(folder.parents), folder][1:]:
            place = self._upper / part
            if not place.is_dir():
                place.mkdir()
                if (self._tree / part).is_dir():
                    _copy_attributes(self._tree / part, place)


def inside_path(path: Path) -> Path:
    """Where a visible path of the node is found inside."""
    return Path("/run/node", path.relative_to("/"))


def _fold(upper: Path, target: Path, *, base: Path) -> Iterator[str]:
    for entry in sorted(upper.iterdir()):
        place, kind = target / entry.name, entry.lstat()
        name = str(place.relative_to(base))
        if stat.S_ISCHR(kind.st_mode) and kind.st_rdev == 0:
            _remove(place)
            yield name
        elif stat.S_ISDIR(kind.st_mode):
            if place.is_symlink() or not place.is_dir() or _is_opaque(entry):
                _remove(place)
                place.mkdir()
                yield name
            _copy_attributes(entry, place)
            yield from _fold(entry, place, base=base)
        elif stat.S_ISREG(kind.st_mode) or stat.S_ISLNK(kind.st_mode):
            _remove(place)
            entry.rename(place)
            _drop_overlay_attributes(place)
            yield name
        else:
            raise InputError(f"a package made /{name}, which is neither file, folder nor link", kind="unfit")


def _is_opaque(folder: Path) -> bool:
    try:
        return os.getxattr(folder, f"{_OVERLAY_XATTRS}opaque") == b"y"
    except OSError:
        return False


def _copy_attributes(source: Path, target: Path) -> None:
    status = source.lstat()
    os.chown(target, status.st_uid, status.st_gid)
    target.chmod(stat.S_IMODE(status.st_mode))
    wanted = {name for name in os.listxattr(source) if not name.startswith(_OVERLAY_XATTRS)}
    for name in set(os.listxattr(target)) - wanted:
        os.removexattr(target, name)
    for name in wanted:
        os.setxattr(target, name, os.getxattr(source, name))


def _drop_overlay_attributes(path: Path) -> None:
    for name in os.listxattr(path, follow_symlinks=False):
        if name.startswith(_OVERLAY_XATTRS):
            os.removexattr(path, name, follow_symlinks=False)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
