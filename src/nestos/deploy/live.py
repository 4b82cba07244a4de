"""Changes of the running system that end with it: ``apply-live`` and ``usroverlay``.

The running tree is a file system whose every block is verified; it never changes. Both commands mount an overlay over
``/usr``: ``apply-live`` a read-only one with the files that the staged tree adds, ``usroverlay`` one that a person can
write to, in memory. A restart ends both. What is written here is the mount, a folder of hard links in the node's state,
and new files of ``/etc``, which is the node's own and stays.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from nestos.base import durable
from nestos.base.errors import StateError
from nestos.base.log import Progress
from nestos.deploy import compare
from nestos.deploy.live_changes import LiveChanges, decide
from nestos.deploy.live_state import FOLDER, LIVE, STATE, WRITABLE, Live, forget, live, mounts
from nestos.deploy.node import Node, View
from nestos.host.process import Runner
from nestos.ostree.repository import Repository
from nestos.wire.deployment import Deployment

_BASE = "/run/nestos/usr"
_WRITABLE = "/run/nestos/usroverlay"
_SHOWN = 20
# Whatever namespace the command runs in: what is mounted shall be seen by all.
_EVERYWHERE = ("nsenter", "--target=1", "--mount")


def usroverlay(node: Node) -> None:
    """Makes ``/usr`` writable until the restart. Raises ``StateError`` where it is."""
    if WRITABLE in mounts(node):
        raise StateError("/usr is writable already", hint="a restart ends it")
    place = node.root.join(_WRITABLE)
    for name in ("upper", "work"):
        (place / name).mkdir(parents=True, exist_ok=True)
        (place / name).chmod(0o755)
    layers = f"lowerdir=/usr,upperdir={_WRITABLE}/upper,workdir={_WRITABLE}/work"
    _mount(node.runner, ["--types=overlay", f"--options={layers}", WRITABLE, "/usr"])


def plan(node: Node) -> LiveChanges:
    """What of the staged tree can be had at once, and what cannot. Raises ``StateError`` where nothing is staged."""
    view = node.look()
    staged, running = _staged(view), view.require_running()
    repository = Repository(node.folder / "repo", runner=node.runner)
    for held in (running, staged):
        if not repository.is_complete(held.checksum):
            raise StateError(
                f"the tree of {held.version} is not in the node's repository, so the two cannot be compared",
                hint="restart into it: systemctl reboot",
            )
    known = live(node)
    return decide(
        repository.difference(running.checksum, staged.checksum),
        compare.difference(compare.packages(node, running.checksum), compare.packages(node, staged.checksum)),
        accounts=_new_accounts(node, staged),
        boot_settings=_boot_settings(running, staged),
        live=known.packages if known else None,
    )


def apply(node: Node, *, progress: Progress) -> LiveChanges:
    """Brings what the staged tree adds into the running system. The caller holds the lock.

    Raises ``StateError`` of kind ``restart`` naming what only a restart can bring; then nothing changed.
    """
    if WRITABLE in mounts(node):
        raise StateError("/usr is writable, and what a person changed there would be hidden", hint="restart first")
    changes = plan(node)
    if changes.problems:
        shown = changes.problems[:_SHOWN]
        more = [f"and {len(changes.problems) - _SHOWN} more"] if len(changes.problems) > _SHOWN else []
        raise StateError(
            "this needs a restart:\n" + "\n".join(f"  {line}" for line in (*shown, *more)),
            hint="what is staged stays so: systemctl reboot",
            kind="restart",
        )
    staged = _staged(node.look())
    known = live(node)
    if not changes.files or (known is not None and known.commit == staged.checksum):
        raise StateError("all of it is there already", kind="unchanged")
    packages = compare.difference(
        compare.packages(node, node.look().require_running().checksum), compare.packages(node, staged.checksum)
    ).added
    with progress.stage("laying out what is new"):
        layer = _layer(node, staged, changes)
    _show(node, layer, changes)
    durable.write_text(
        node.root.join(STATE), json.dumps(asdict(Live(commit=staged.checksum, packages=dict(packages)))) + "\n"
    )
    node.runner([*_EVERYWHERE, "systemd-tmpfiles", "--create", "--prefix=/run", "--prefix=/var"], accepted=(0, 65, 73))
    node.runner(["systemctl", "daemon-reload"])
    return changes


def reset(node: Node) -> bool:
    """Takes what is live out of ``/usr`` again; programs that use it keep it open. False where nothing is."""
    if WRITABLE in mounts(node):
        raise StateError("/usr is writable, over what is live", hint="a restart ends both")
    count = mounts(node).count(LIVE)
    for _ in range(count):
        node.runner([*_EVERYWHERE, "umount", "--lazy", "/usr"])
    if count:
        node.runner([*_EVERYWHERE, "umount", _BASE], accepted=(0, 1, 32))
    forget(node)
    return count > 0


def _staged(view: View) -> Deployment:
    state = view.require_state()
    slot = state.staged or state.pending
    held = view.deployments[slot] if slot else None
    if held is None:
        raise StateError("nothing is staged that could be had at once", hint="first: nestos install NAME")
    return held


def _new_accounts(node: Node, staged: Deployment) -> list[str]:
    """Accounts of the staged tree that the running ``/etc`` lacks: a package's service would not find its user."""
    found = []
    for name in ("passwd", "group"):
        known = _names(node.root.join(f"/etc/{name}"))
        found += [account for account in _names(node.defaults_of(staged) / name) if account not in known]
    return list(dict.fromkeys(found))


def _names(file: Path) -> list[str]:
    lines = file.read_text(errors="replace").splitlines() if file.exists() else []
    return [line.partition(":")[0] for line in lines if ":" in line]


def _boot_settings(running: Deployment, staged: Deployment) -> list[str]:
    differing = {
        "the release": (running.commit, staged.commit),
        "the kernel's arguments": (running.kargs, staged.kargs),
        "the initramfs": (running.origin.initramfs, staged.origin.initramfs),
    }
    return [what for what, (now, then) in differing.items() if now != then]


def _layer(node: Node, staged: Deployment, changes: LiveChanges) -> Path:
    """A folder with the new files, as hard links to the node's repository, and their folders as the tree has them."""
    folder = node.folder / FOLDER
    tree, layer = folder / "tree", folder / staged.checksum
    for place in (tree, layer):
        shutil.rmtree(place, ignore_errors=True)
    folder.mkdir(exist_ok=True)
    try:
        Repository(node.folder / "repo", runner=node.runner).checkout(staged.checksum, tree, hard_links=True)
        _take_over(tree, layer, changes.files)
    finally:
        shutil.rmtree(tree, ignore_errors=True)
    return layer


def _take_over(tree: Path, layer: Path, paths: Iterable[str]) -> None:
    """Moves ``paths`` from one to the other, parents first; a folder comes with its owner, mode and attributes."""
    layer.mkdir()
    for path in (Path(path).relative_to("/") for path in paths):
        for folder in reversed(path.parents[:-1]):
            _make_folder(tree / folder, layer / folder)
        source = tree / path
        if source.is_dir() and not source.is_symlink():
            _make_folder(source, layer / path)
        else:
            source.rename(layer / path)


def _make_folder(source: Path, target: Path) -> None:
    if not target.exists():
        target.mkdir()
        _copy_metadata(source, target)


def _copy_metadata(source: Path, target: Path) -> None:
    status = source.lstat()
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    shutil.copystat(source, target, follow_symlinks=False)


def _show(node: Node, layer: Path, changes: LiveChanges) -> None:
    """Adds to ``/etc`` and mounts, the one step that shows all of it; before that, everything is undone on an error."""
    with ExitStack() as undo:
        for path in changes.etc:
            target = node.root.join("/etc") / Path(path).relative_to("/usr/etc")
            if os.path.lexists(target):
                continue  # the node's own
            _add(layer / Path(path).relative_to("/"), target, undo)
        if not any(name == LIVE for name in mounts(node)):
            base = node.root.join(_BASE)
            base.mkdir(parents=True, exist_ok=True)
            # Private: else the overlay over /usr would be mounted over this view of what lies below it, too.
            _mount(node.runner, ["--bind", "--make-private", "/usr", _BASE])
            undo.callback(node.runner, [*_EVERYWHERE, "umount", _BASE])
        layers = f"lowerdir={layer / 'usr'}:{_BASE}"
        _mount(node.runner, ["--types=overlay", f"--options=ro,{layers}", LIVE, "/usr"])
        undo.pop_all()


def _add(source: Path, target: Path, undo: ExitStack) -> None:
    if source.is_dir() and not source.is_symlink():
        target.mkdir()
        undo.callback(target.rmdir)
    else:
        undo.callback(target.unlink, missing_ok=True)
        shutil.copyfile(source, target, follow_symlinks=False)
    _copy_metadata(source, target)


def _mount(runner: Runner, words: list[str]) -> None:
    runner([*_EVERYWHERE, "mount", *words])
