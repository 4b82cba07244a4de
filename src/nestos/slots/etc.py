"""The ``/etc`` of a slot: the upper layer of an overlay over the slot's own ``/usr/etc``.

An update gives the passive slot a copy of the running one's layer, so that a rollback finds the configuration that
matches. The copy is built beside its place and exchanged in one step. A file that the node changed hides the
release's; what both changed is reported, and account files are joined (``nestos.slots.accounts``). Layout:
``<store>/a/upper``, ``<store>/a/work`` and the same for b. Kernel: Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from nestos.base import durable
from nestos.slots import accounts, syscalls
from nestos.slots.bootstate import Slot
from nestos.slots.disk import EtcReport

_OVERLAY = ("trusted.overlay.", "user.overlay.")
# Marks that tie a copied-up file to the inode below it, meaningless over another release; the others (opaque,
# whiteout) say what the node wants hidden, and go along.
_TIES = ("origin", "impure", "nlink", "uuid", "upper")
# systemd compares it with /usr to see that a release is new; in a release every time stamp is the same, so without
# this no unit with ConditionNeedsUpdate=/etc (sysusers, hwdb, ldconfig) would ever run again.
_STAMP = ".updated"


class OverlayEtc:
    """The layers under ``store``. An ``EtcStore``.

    ``old_default`` is ``/usr/etc`` of the running slot's tree, ``new_default`` that of the tree being installed.
    """

    def __init__(self, store: Path, *, old_default: Path, new_default: Path) -> None:
        self._store = store
        self._old = old_default
        self._new = new_default

    def upper(self, slot: Slot) -> Path:
        """The layer of ``slot``."""
        return self._store / slot / "upper"

    def stage(self, slot: Slot) -> EtcReport:
        """As ``EtcStore.stage``: copy, forget systemd's stamp, join accounts, compare with both releases."""
        staging = self._staging(slot)
        shutil.rmtree(staging, ignore_errors=True)
        (staging / "work").mkdir(parents=True)
        upper = staging / "upper"
        source = self.upper(slot.other)
        if source.is_dir():
            copy_tree(source, upper)
        else:
            upper.mkdir()
        (upper / _STAMP).unlink(missing_ok=True)
        merged, notes = self._merge_accounts(upper)
        conflicts, released = self._compare(upper)
        return EtcReport(conflicts=conflicts, released=released, merged=merged, notes=notes)

    def sync(self) -> None:
        """As ``EtcStore.sync``."""
        syscalls.sync_filesystem(self._store)

    def publish(self, slot: Slot) -> None:
        """As ``EtcStore.publish``: in one step, so that a slot that is already staged always has a whole ``/etc``."""
        place = self._store / slot
        place.mkdir(exist_ok=True)
        syscalls.exchange(self._staging(slot), place)

    def sync_directory(self) -> None:
        """As ``EtcStore.sync_directory``; then clears away what was replaced."""
        durable.sync_directory(self._store)
        for slot in Slot:
            shutil.rmtree(self._staging(slot), ignore_errors=True)

    def _staging(self, slot: Slot) -> Path:
        return self._store / f".{slot}.new"

    def _merge_accounts(self, upper: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
        edited = _texts(upper)
        result = accounts.merge(old=_texts(self._old), edited=edited, new=_texts(self._new))
        changed = tuple(name for name, text in result.texts.items() if text != edited[name])
        for name in changed:
            (upper / name).write_text(result.texts[name], errors="surrogateescape")
        return changed, result.notes

    def _compare(self, upper: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The conflicts, and the files whose local version is the new release's (removed from ``upper``)."""
        conflicts: list[str] = []
        released: list[str] = []
        for path in list(_walk(upper)):
            relative = path.relative_to(upper)
            name, old, new = str(relative), self._old / relative, self._new / relative
            if _is_merged_folder(path):
                if not _follow_folder(path, old=old, new=new):
                    conflicts.append(name)
            elif name in accounts.FILES and path.is_file():
                continue
            elif not stat.S_ISCHR(path.lstat().st_mode) and not path.is_dir() and _same(path, new):
                path.unlink()
                released.append(name)
            elif not _same(old, new):
                conflicts.append(name)
        return tuple(conflicts), tuple(released)


def copy_tree(source: Path, target: Path) -> None:
    """Copies a folder with owners, modes, times, extended attributes, links and device nodes.

    Overlay marks go along, except those that tie a file to the release below it. Sockets are left out. A file that
    vanishes meanwhile is as if it had never been.
    """
    links: dict[tuple[int, int], Path] = {}
    target.mkdir()
    _copy_children(source, target, links)
    _copy_metadata(source, target)


def _copy_children(source: Path, target: Path, links: dict[tuple[int, int], Path]) -> None:
    for entry in sorted(os.scandir(source), key=lambda item: item.name):
        try:
            _copy_entry(Path(entry.path), target / entry.name, links)
        except FileNotFoundError:
            if os.path.lexists(entry.path):
                raise


def _copy_entry(source: Path, target: Path, links: dict[tuple[int, int], Path]) -> None:
    status = source.lstat()
    kind = status.st_mode
    identity = (status.st_dev, status.st_ino)
    if stat.S_ISDIR(kind):
        target.mkdir()
        _copy_children(source, target, links)
    elif status.st_nlink > 1 and identity in links:
        os.link(links[identity], target, follow_symlinks=False)
        return
    elif stat.S_ISLNK(kind):
        target.symlink_to(source.readlink())
    elif stat.S_ISREG(kind):
        shutil.copyfile(source, target)
    elif stat.S_ISSOCK(kind):
        return
    else:
        os.mknod(target, kind, status.st_rdev)
    links[identity] = target
    _copy_metadata(source, target)


def _copy_metadata(source: Path, target: Path) -> None:
    status = source.lstat()
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        target.chmod(stat.S_IMODE(status.st_mode))
    for name in os.listxattr(source, follow_symlinks=False):
        if not _is_tie(name):
            value = os.getxattr(source, name, follow_symlinks=False)
            os.setxattr(target, name, value, follow_symlinks=False)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)


def _is_tie(name: str) -> bool:
    return any(name == prefix + tie for prefix in _OVERLAY for tie in _TIES)


def _texts(folder: Path) -> dict[str, str]:
    """The account files of ``folder`` that are plain files."""
    found = {}
    for name in accounts.FILES:
        path = folder / name
        if path.is_file() and not path.is_symlink():
            found[name] = path.read_text(errors="surrogateescape")
    return found


def _walk(upper: Path) -> Iterator[Path]:
    """Every path below ``upper``, the top itself first; not into folders that hide the release's completely."""
    yield upper
    for entry in sorted(os.scandir(upper), key=lambda item: item.name):
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False) and _is_merged_folder(path):
            yield from _walk(path)
        else:
            yield path


def _is_merged_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not _is_opaque(path)


def _is_opaque(path: Path) -> bool:
    names = os.listxattr(path, follow_symlinks=False)
    return any(name in names and os.getxattr(path, name) == b"y" for name in (f"{prefix}opaque" for prefix in _OVERLAY))


def _follow_folder(path: Path, *, old: Path, new: Path) -> bool:
    """Lets an unchanged folder's owner and mode follow the release. False where both sides changed them."""
    own, before, after = _ownership(path), _ownership(old), _ownership(new)
    if after is None or before is None or after in {before, own}:
        return True
    if own != before or stat.S_IFMT(after[0]) != stat.S_IFDIR:
        return False
    os.chown(path, after[1], after[2])
    path.chmod(stat.S_IMODE(after[0]))
    return True


def _ownership(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_mode, status.st_uid, status.st_gid


def _same(first: Path, second: Path) -> bool:
    """True if both are missing, or alike in kind, owner, mode, attributes and content (folders: in all below)."""
    ownership = _ownership(first)
    if ownership != _ownership(second):
        return False
    if ownership is None:
        return True
    if _attributes(first) != _attributes(second):
        return False
    match stat.S_IFMT(ownership[0]):
        case stat.S_IFLNK:
            return first.readlink() == second.readlink()
        case stat.S_IFREG:
            return first.read_bytes() == second.read_bytes()
        case stat.S_IFDIR:
            names = sorted(item.name for item in first.iterdir())
            return names == sorted(item.name for item in second.iterdir()) and all(
                _same(first / name, second / name) for name in names
            )
        case _:
            return first.lstat().st_rdev == second.lstat().st_rdev


def _attributes(path: Path) -> dict[str, bytes]:
    names = (name for name in os.listxattr(path, follow_symlinks=False) if not name.startswith(_OVERLAY))
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
