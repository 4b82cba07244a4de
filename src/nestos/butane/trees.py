"""``storage.trees``: a local folder whose files and links become entries of the config."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from posixpath import join, normpath

from nestos.base.report import Severity
from nestos.butane.local_files import NO_FILES_DIR, LocalFileError, reason
from nestos.butane.nodes import NODE_EXISTS, Nodes
from nestos.butane.place import Path
from nestos.butane.site import Check, Object, Run

FILE_TYPE = "trees may only contain files, directories, and symlinks"
NOT_A_DIRECTORY = "root of tree must be a directory"
NO_LOCAL = "local is required"


def check_tree(check: Check) -> None:
    """Rule of a tree: it has a folder."""
    if not check.values.get("local"):
        check.error(NO_LOCAL)


def add_trees(run: Run, values: Object, config: Object) -> Object:
    """``config`` with the nodes of all trees, in the order of their names."""
    nodes = Nodes(run, config)
    for index, tree in enumerate(values.get("storage", {}).get("trees", [])):
        source: Path = ("storage", "trees", index)
        if not run.files.are_allowed:
            run.add(Severity.ERROR, NO_FILES_DIR, source)
            break
        name = tree["local"]
        try:
            root = run.files.locate(name)
            if not stat.S_ISDIR(root.stat().st_mode):
                raise LocalFileError(NOT_A_DIRECTORY)
        except LocalFileError as error:
            run.add(Severity.ERROR, str(error), source)
        except (OSError, ValueError) as error:
            run.add(Severity.ERROR, f"stat {run.files.shown(name)}: {reason(error)}", source)
        else:
            _Tree(run, nodes, tree, source).add(root, shown=run.files.shown(name))
    return config


class _Tree:
    """Adds what one tree holds."""

    def __init__(self, run: Run, nodes: Nodes, tree: Object, source: Path) -> None:
        self._run = run
        self._nodes = nodes
        self._tree = tree
        self._source = source
        self._owner = {name: tree[name] for name in ("user", "group") if tree.get(name)}

    def add(self, root: FilePath, *, shown: str) -> None:
        destination = self._tree.get("path") or "/"
        for file, below in self._walk(root, "", shown):
            path = normpath(join(destination, below))
            try:
                path.encode()
                self._add_node(file, "/" + path.lstrip("/") if path.startswith("/") else path)
            except UnicodeEncodeError:
                self._error(f"the name {below!a} is not UTF-8")
            except (OSError, ValueError) as error:
                self._error(f"open {join(shown, below)}: {reason(error)}")

    def _error(self, message: str) -> None:
        self._run.add(Severity.ERROR, message, self._source)

    def _walk(self, file: FilePath, below: str, shown: str) -> Iterator[tuple[FilePath, str]]:
        """Everything in the order of names, folders before what is in them; links are not followed."""
        is_folder = file.is_dir() and not file.is_symlink()
        try:
            names = sorted(os.listdir(file)) if is_folder else []  # noqa: PTH208 - names, not paths, are sorted
        except OSError as error:
            self._error(f"open {join(shown, below) if below else shown}: {reason(error)}")
            return
        yield file, below
        for name in names:
            yield from self._walk(file / name, join(below, name), shown)

    def _add_node(self, file: FilePath, path: str) -> None:
        status = file.lstat()
        if stat.S_ISDIR(status.st_mode):
            self._add_directory(path)
        elif stat.S_ISREG(status.st_mode):
            self._add_file(file, path, mode=0o755 if status.st_mode & 0o111 else 0o644)
        elif stat.S_ISLNK(status.st_mode):
            self._add_link(file, path)
        else:
            self._error(FILE_TYPE)

    def _add_directory(self, path: str) -> None:
        """Folders are only named where there is something to say about them: Ignition makes missing ones."""
        if "dir_mode" not in self._tree and not self._owner:
            return
        if path in self._nodes:
            self._error(NODE_EXISTS)
            return
        node = {**self._owner, "path": path, "mode": self._tree.get("dir_mode", 0o755)}
        self._nodes.add("directories", node, source=self._source)

    def _add_file(self, file: FilePath, path: str, *, mode: int) -> None:
        found = self._find_or_add("files", path, has_own=lambda node: node.get("contents", {}).get("source"))
        if found is None:
            return
        index, node = found
        self._nodes.fill(index, node, file.read_bytes(), source=self._source)
        if "mode" not in node:
            node["mode"] = self._tree.get("file_mode", mode)
            self._run.origins[("storage", "files", index, "mode")] = self._source

    def _add_link(self, file: FilePath, path: str) -> None:
        found = self._find_or_add("links", path, has_own=lambda node: node.get("target"))
        if found is None:
            return
        index, node = found
        target = os.readlink(file)  # noqa: PTH115 - the text of the link, not a tidied path
        target.encode()
        node["target"] = target
        self._run.origins[("storage", "links", index, "target")] = self._source

    def _find_or_add(self, kind: str, path: str, *, has_own: Callable[[Object], object]) -> tuple[int, Object] | None:
        """The entry of the config for ``path``, which lends its owner and mode, or a new one."""
        found = self._nodes.find(kind, path)
        if (found is None and path in self._nodes) or (found is not None and has_own(found[1])):
            self._error(NODE_EXISTS)
            return None
        return found or self._nodes.add(kind, {**self._owner, "path": path}, source=self._source)
