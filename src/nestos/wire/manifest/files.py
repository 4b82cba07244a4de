"""Files that a manifest names: scripts, and what is copied into the tree.

They are read once, while the manifest is loaded, so that what is hashed is what was judged.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path, PurePosixPath

from nestos.base.report import Report
from nestos.wire.manifest.document import Node
from nestos.wire.manifest.model import AddedFile

_ALLOWED = ("usr", "etc", "bin", "sbin", "lib", "lib64")


def beside(node: Node, name: str | None = None) -> Path:
    """The path of a file named in a manifest, relative to the manifest file that names it."""
    return Path(node.source).resolve().parent / (node.text if name is None else name)


def read_text(node: Node, report: Report) -> str | None:
    """The text of the file that ``node`` names; None, with a finding, where it cannot be read."""
    path = beside(node)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        node.say(report, f"cannot read {path}: {_reason(error)}")
        return None


def added_files(row: Node, report: Report) -> list[AddedFile]:
    """The files that a ``[source, target]`` row stands for; several if the source is a folder."""
    source_node, target_node = row.items
    source = beside(source_node)
    target = PurePosixPath(target_node.text)
    if ".." in target.parts:
        target_node.say(report, f'the target must not hold "..": {target}')
        return []
    try:
        if source.is_dir() and not source.is_symlink():
            pairs = [(inner, target / inner.relative_to(source).as_posix()) for inner in _below(source)]
        else:
            pairs = [(source, target)]
        found = [_added(inner, where) for inner, where in pairs]
    except OSError as error:
        source_node.say(report, f"cannot read {error.filename or source}: {_reason(error)}")
        return []
    for item in found:
        if not allowed_target(item.target):
            target_node.say(
                report,
                f"{item.target} is not part of the tree: only /usr (but /usr/local), /etc, /bin, /sbin, /lib "
                "and /lib64 are",
            )
    return found


def allowed_target(target: PurePosixPath) -> bool:
    """True for paths that a commit may hold (rpm-ostree's rule for add-files)."""
    parts = target.parts[1:]
    return len(parts) > 1 and parts[0] in _ALLOWED and parts[:2] != ("usr", "local")


def _below(folder: Path) -> list[Path]:
    """Files and links below a folder, sorted by their path, without following links."""
    found: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=_raise):
        here = Path(parent)
        found.extend(here / name for name in names)
        found.extend(here / name for name in folders if (here / name).is_symlink())
    return sorted(found)


def _raise(error: OSError) -> None:
    raise error


def _added(source: Path, target: PurePosixPath) -> AddedFile:
    info = source.lstat()
    if stat.S_ISLNK(info.st_mode):
        link = str(source.readlink())
        return AddedFile(source=source, target=target, link=link, sha256=hashlib.sha256(link.encode()).hexdigest())
    if not stat.S_ISREG(info.st_mode):
        raise OSError(0, "it is neither a file nor a link", str(source))
    mode = 0o755 if info.st_mode & 0o111 else 0o644
    return AddedFile(source=source, target=target, mode=mode, sha256=_sha256(source))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or "unknown error") if isinstance(error, OSError) else "it is not UTF-8 text"
