"""The files, directories and links of a config by their path, for sugar that adds more of them."""

from __future__ import annotations

from nestos.butane.place import Path
from nestos.butane.resources import data_url
from nestos.butane.site import Object, Run

NODE_EXISTS = "matching filesystem node has existing contents or different type"
_KINDS = ("files", "directories", "links")


class Nodes:
    """What is under ``storage`` of ``config``. Lists appear in it as soon as they have an entry."""

    def __init__(self, run: Run, config: Object) -> None:
        self._run = run
        self._config = config
        self._known: dict[str, tuple[str, int]] = {}
        storage = config.get("storage", {})
        for kind in reversed(_KINDS):
            for index, node in enumerate(storage.get(kind, [])):
                self._known[node["path"]] = (kind, index)

    def __contains__(self, path: str) -> bool:
        return path in self._known

    def find(self, kind: str, path: str) -> tuple[int, Object] | None:
        """Index and entry of the node of that kind at ``path``."""
        found, index = self._known.get(path, ("", 0))
        return (index, self._config["storage"][kind][index]) if found == kind else None

    def add(self, kind: str, node: Object, *, source: Path) -> tuple[int, Object]:
        """Adds a node that ``source`` led to."""
        entries = self._config.setdefault("storage", {}).setdefault(kind, [])
        index = len(entries)
        entries.append(node)
        self._known[node["path"]] = (kind, index)
        if index == 0:
            self._run.origins[("storage", kind)] = source
        self._run.came_from(source, ("storage", kind, index), node)
        return index, node

    def fill(self, index: int, node: Object, content: bytes, *, source: Path) -> None:
        """Puts ``content`` into the file ``node``, packed where that is shorter."""
        contents = node.setdefault("contents", {})
        chosen = contents.get("compression", "")
        url, compression = data_url(content, compression=chosen, may_compress=self._run.level.compresses)
        contents["source"] = url
        target: Path = ("storage", "files", index, "contents")
        self._run.origins[target] = source
        self._run.origins[(*target, "source")] = source
        if not chosen:
            contents["compression"] = compression
            self._run.origins[(*target, "compression")] = source
