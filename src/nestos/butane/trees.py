"""``storage.trees``: a local folder whose files and links become entries of the config."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from posixpath import join, normpath

from nestos.butane.local_files import LocalFileError, reason
from nestos.butane.resources import data_url
from nestos.butane.site import Object, Site

FILE_TYPE = "trees may only contain files, directories, and symlinks"
NODE_EXISTS = "matching filesystem node has existing contents or different type"
NOT_A_DIRECTORY = "root of tree must be a directory"
NO_LOCAL = "local is required"

_ADDED: tuple[tuple[str, ...], ...] = (
    ("contents",),
    ("contents", "source"),
    ("contents", "compression"),
    ("mode",),
    ("target",),
)
"""What a tree may add to an entry of the config."""


def request_tree(site: Site) -> None:
    """Hook of a tree: notes it. Trees are read last, when every entry of the config that lends an owner is known."""
    if not site.values.get("local"):
        site.error(NO_LOCAL)
    else:
        site.run.trees.append(site)


def add_trees(site: Site) -> None:
    """Step of the whole config: adds the nodes of all trees, in the order of their names."""
    for tree in site.run.trees:
        try:
            root = site.run.files.locate(tree.values["local"])
            if not stat.S_ISDIR(root.stat().st_mode):
                raise LocalFileError(NOT_A_DIRECTORY)
        except LocalFileError as error:
            tree.error(str(error))
        except (OSError, ValueError) as error:
            tree.error(f"cannot read {tree.values['local']}: {reason(error)}")
        else:
            storage = site.out.setdefault("storage", {})
            _Tree(tree, storage).add(root, tree.values.get("path") or "/")
            if not storage:
                del site.out["storage"]


class _Tree:
    """Adds what one tree holds to the ``storage`` object of the result."""

    def __init__(self, site: Site, storage: Object) -> None:
        self._site = site
        self._storage = storage
        self._lists = ("files", "directories", "links")
        self._known: dict[str, tuple[str, int]] = {}
        for kind in self._lists:
            for index, node in enumerate(storage.get(kind, [])):
                self._known.setdefault(node.get("path", ""), (kind, index))

    def add(self, root: Path, destination: str) -> None:
        for source, below in self._walk(root, ""):
            path = normpath(join(destination, below))
            try:
                path.encode()
                self._add_node(source, path)
            except UnicodeEncodeError:
                self._site.error(f"the name {below!a} is not UTF-8")
            except (OSError, ValueError) as error:
                self._site.error(f"cannot read {below}: {reason(error)}")

    def _walk(self, folder: Path, below: str) -> Iterator[tuple[Path, str]]:
        """Everything but folders, in the order of names, as Go's filepath.Walk goes."""
        try:
            names = sorted(os.listdir(folder))  # noqa: PTH208 - names, not paths, are sorted
        except OSError as error:
            self._site.error(f"cannot read {below or '.'}: {reason(error)}")
            return
        for name in names:
            child = folder / name
            if child.is_dir() and not child.is_symlink():
                yield from self._walk(child, join(below, name))
            else:
                yield child, join(below, name)

    def _add_node(self, source: Path, path: str) -> None:
        status = source.lstat()
        if stat.S_ISREG(status.st_mode):
            self._add_file(source, path, mode=0o755 if status.st_mode & 0o111 else 0o644)
        elif stat.S_ISLNK(status.st_mode):
            self._add_link(source, path)
        else:
            self._site.error(f"{FILE_TYPE}: {path}")

    def _add_file(self, source: Path, path: str, *, mode: int) -> None:
        node = self._node("files", path)
        contents = node.setdefault("contents", {}) if node is not None else {}
        if node is None or contents.get("source"):
            self._site.error(f"{NODE_EXISTS}: {path}")
            return
        url, compression = data_url(source.read_bytes(), compression=contents.get("compression", ""))
        contents |= {"source": url, "compression": compression}
        node.setdefault("mode", mode)

    def _add_link(self, source: Path, path: str) -> None:
        node = self._node("links", path)
        if node is None or node.get("target"):
            self._site.error(f"{NODE_EXISTS}: {path}")
            return
        target = os.readlink(source)  # noqa: PTH115 - the text of the link, not a tidied path
        target.encode()
        node["target"] = target

    def _node(self, kind: str, path: str) -> Object | None:
        """The entry for ``path``, of the config (it lends its owner) or new; None if it is of another kind."""
        run, tree = self._site.run, self._site.source
        if path in self._known:
            found, index = self._known[path]
            if found != kind:
                return None
            for below in _ADDED:
                run.origins.setdefault(("storage", kind, index, *below), tree)
        else:
            nodes = self._storage.setdefault(kind, [])
            index = len(nodes)
            nodes.append({"path": path})
            self._known[path] = (kind, index)
            run.origins.setdefault(("storage", kind), tree)
            for below in ((), ("path",), *_ADDED):
                run.origins[("storage", kind, index, *below)] = tree
        node: Object = self._storage[kind][index]
        return node
