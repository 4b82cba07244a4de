"""One OSTree repository, through the ``ostree`` command.

Serves both ends: the compose server (init, commit, sign, summary, deltas) and the node (remote, pull, checkout,
prune, fsck). Every method runs one command and raises the errors of ``nestos.ostree.failures``. It decides nothing
about releases or slots.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from nestos.base.errors import CommandError, InputError, VerificationError
from nestos.host import process
from nestos.host.process import Runner
from nestos.ostree import failures
from nestos.ostree.commits import (
    Commit,
    Difference,
    MissingObjects,
    parse_diff,
    parse_log,
    parse_metadata,
    parse_refs,
    parse_sizes,
    parse_string,
)


class Repository:
    """The repository at ``path``; ``runner`` starts the commands (a node's own, or a tools tree's)."""

    def __init__(self, path: Path, *, runner: Runner = process.run) -> None:
        self.path = path
        self._runner = runner

    def __repr__(self) -> str:
        return f"Repository({str(self.path)!r})"

    @property
    def exists(self) -> bool:
        """True once ``init`` has run."""
        return (self.path / "config").is_file()

    def init(self, *, mode: str) -> None:
        """Creates the repository: ``archive`` to serve, ``bare`` on a node, ``bare-user`` for a rootless compose.

        Running it again on an existing repository changes nothing.
        """
        if not self.path.parent.is_dir():
            self.path.parent.mkdir(parents=True)
        self._ostree("init", f"--mode={mode}")

    def configure(self, key: str, value: str) -> None:
        """Sets one key of the repository's config, as ``core.min-free-space-size`` (ostree.repo-config(5))."""
        self._ostree("config", "set", key, value)

    def commit(
        self,
        tree: Path,
        *,
        branch: str = "",
        subject: str,
        timestamp: datetime | None = None,
        metadata: Mapping[str, str] | None = None,
        parent: str = "",
        gpg_key: str = "",
        gpg_home: Path | None = None,
        generate_sizes: bool = False,
        canonical_permissions: bool = False,
        is_linked: bool = False,
    ) -> str:
        """Stores ``tree`` with its own owners, modes and extended attributes; returns the commit's checksum.

        Without ``branch`` no ref is written. The parent is the branch's head unless ``parent`` names one ("none": no
        parent). ``generate_sizes`` records object sizes in the commit, from which a node reckons the space that a
        pull needs. ``is_linked``: the tree is a checkout whose files are links into this repository, so that only
        new ones are read. Raises ``InputError`` for an unknown signing key; then no ref moved.
        """
        line = ["commit", f"--tree=dir={tree}", f"--subject={subject}"]
        line.append(f"--branch={branch}" if branch else "--orphan")
        if parent:
            line.append(f"--parent={parent}")
        if timestamp is not None:
            line.append(f"--timestamp=@{int(timestamp.timestamp())}")
        line += [f"--add-metadata-string={key}={value}" for key, value in sorted((metadata or {}).items())]
        if generate_sizes:
            line.append("--generate-sizes")
        if is_linked:
            line.append("--link-checkout-speedup")
        if canonical_permissions:
            line.append("--canonical-permissions")
        return self._ostree(*line, *_signing(gpg_key, gpg_home)).strip().splitlines()[-1]

    def sign(self, rev: str, *, gpg_key: str, gpg_home: Path | None = None) -> None:
        """Adds a GPG signature to a commit."""
        self._ostree("gpg-sign", *([f"--gpg-homedir={gpg_home}"] if gpg_home else []), rev, gpg_key)

    def update_summary(self, *, gpg_key: str = "", gpg_home: Path | None = None) -> None:
        """Writes the list of refs and deltas that clients read. Needed after every change of either."""
        self._ostree("summary", "--update", *_signing(gpg_key, gpg_home))

    def generate_delta(self, *, to: str, source: str = "") -> None:
        """Makes the static delta ``source`` -> ``to`` (from nothing without a source) unless it is there already.

        A delta is trusted through the signed summary, so ``update_summary`` must follow.
        """
        line = ["static-delta", "generate", "--if-not-exists", f"--to={to}"]
        line.append(f"--from={source}" if source else "--empty")
        self._ostree(*line)

    def deltas(self) -> list[str]:
        """Names of the static deltas: ``FROM-TO``, or ``TO`` for one from nothing."""
        return [line for line in self._ostree("static-delta", "list").splitlines() if not line.startswith("(")]

    # Reading

    def resolve(self, rev: str) -> str:
        """The checksum of a ref or an abbreviated rev. Raises ``InputError`` where there is none."""
        return self._ostree("rev-parse", rev).strip()

    def find(self, rev: str) -> str:
        """The checksum of a ref, or the empty string where there is none."""
        try:
            return self.resolve(rev)
        except InputError:
            return ""

    def show(self, rev: str) -> Commit:
        """The header of one commit. Slower than ``history``, because ostree checks the signatures to print them."""
        return parse_log(self._ostree("show", rev))[0]

    def history(self, rev: str) -> list[Commit]:
        """The commit and those of its ancestors that are here, newest first."""
        return parse_log(self._ostree("log", rev))

    def metadata(self, rev: str) -> dict[str, str]:
        """The commit's string metadata; values of other types (ostree's own, mostly) are left out."""
        return parse_metadata(self._ostree("log", "--raw", rev))

    def metadata_value(self, rev: str, key: str) -> str:
        """One metadata value as text. Raises ``CommandError`` where the commit has no such key."""
        return parse_string(self._ostree("show", f"--print-metadata-key={key}", rev))

    def list_paths(self, rev: str, *, path: str = "/", recursive: bool = True) -> list[str]:
        """Absolute paths of a commit's tree."""
        line = ["ls", "--nul-filenames-only", *(["--recursive"] if recursive else []), rev, path]
        return [name for name in self._ostree(*line).split("\0") if name]

    def difference(self, old: str, new: str) -> Difference:
        """Paths that differ between two commits."""
        return parse_diff(self._ostree("diff", old, new))

    def refs(self, *, prefix: str = "") -> dict[str, str]:
        """Ref to checksum, of all refs or of those under ``prefix``; a remote's ref reads ``REMOTE:REF``."""
        return parse_refs(self._ostree("refs", "--list", "--revision", *([prefix] if prefix else [])))

    def is_complete(self, checksum: str) -> bool:
        """True if the commit is here with every object (so far as the repository knows; ``fsck`` reads them)."""
        name = self.path / "objects" / checksum[:2] / f"{checksum[2:]}.commit"
        return name.is_file() and not (self.path / "state" / f"{checksum}.commitpartial").exists()

    def missing(self, rev: str) -> MissingObjects | None:
        """What a pull of ``rev`` would still fetch; none where the commit was made without its sizes."""
        try:
            return parse_sizes(self._ostree("show", "--print-sizes", rev))
        except CommandError as error:
            if "No metadata key ostree.sizes" in error.output:
                return None
            raise

    # Changing

    def set_ref(self, ref: str, rev: str) -> None:
        """Points a local ref at a commit, so that ``prune`` keeps it."""
        self._ostree("refs", "--force", f"--create={ref}", rev)

    def delete_ref(self, ref: str) -> None:
        """Drops refs with this name or prefix; a missing one is fine."""
        self._ostree("refs", "--delete", ref)

    def add_remote(self, name: str, *, url: str, keys: Sequence[Path] = (), verify: bool = True) -> None:
        """Sets (or replaces) a remote. ``keys`` are GPG keyrings or folders of them; missing ones must be left out.

        With ``verify``, commits and the summary both need a good signature by one of the keys.
        """
        word = "true" if verify else "false"
        line = ["remote", "add", "--force", f"--set=gpg-verify={word}", f"--set=gpg-verify-summary={word}"]
        if keys:
            line.append(f"--set=gpgkeypath={';'.join(os.fspath(key) for key in keys)}")
        self._ostree(*line, name, url)

    def pull(self, remote: str, rev: str, *, metadata_only: bool = False, depth: int = 0, deltas: bool = True) -> str:
        """Fetches what is missing of ``rev`` (REF, REF@CHECKSUM or CHECKSUM); returns ostree's line of figures.

        Verifies the signatures first. An interrupted pull goes on where it stopped. ``metadata_only`` fetches the
        commit object alone, ``depth`` that many ancestors (-1: all).
        """
        line = ["pull", f"--depth={depth}"]
        line += ["--commit-metadata-only"] if metadata_only else []
        line += [] if deltas else ["--disable-static-deltas"]
        try:
            return self._ostree(*line, remote, rev).strip()
        except VerificationError as error:
            cause = error.__cause__
            if not isinstance(cause, CommandError) or not failures.TRUNCATED.search(cause.output):
                raise
            raise self._name_truncated(line, remote, rev) from error

    def _name_truncated(self, line: Sequence[str], remote: str, rev: str) -> VerificationError:
        again = self._runner(["ostree", "--verbose", f"--repo={self.path}", *line, remote, rev], accepted=(0, 1))
        suspects = failures.unwritten(again.stdout + again.stderr)
        name = f"object {suspects[0]}" if suspects else "an object"
        return VerificationError(
            f"{name} is truncated on the server", hint="once it is repaired, the same command fetches the rest"
        )

    def pull_local(self, source: Path, *refs: str) -> None:
        """Copies refs with their objects from a repository on this machine."""
        self._ostree("pull-local", os.fspath(source), *refs)

    def checkout(self, rev: str, target: Path, *, hard_links: bool = False, user_mode: bool = False) -> None:
        """Makes ``target``, a folder that must not exist yet, with the commit's tree.

        ``hard_links`` shares the files with a ``bare`` repository (they must not be written to);
        ``user_mode`` leaves owners and extended attributes alone, for a process without privilege.
        """
        line = ["checkout", *(["--require-hardlinks"] if hard_links else []), *(["--user-mode"] if user_mode else [])]
        self._ostree(*line, rev, os.fspath(target))

    def prune(self, *, depth: int = 0) -> str:
        """Drops objects that no ref reaches, keeping ``depth`` ancestors; returns ostree's line of figures."""
        return self._ostree("prune", "--refs-only", f"--depth={depth}").strip()

    def fsck(self, *, delete: bool = False) -> None:
        """Reads every object. Raises ``VerificationError`` naming the first bad one.

        With ``delete`` bad objects are removed and their commits marked incomplete, so that a pull fetches them anew.
        """
        self._ostree("fsck", "--all", "--quiet", *(["--delete"] if delete else []))

    def _ostree(self, command: str, *arguments: str) -> str:
        try:
            return self._runner(["ostree", command, f"--repo={self.path}", *arguments]).stdout
        except CommandError as error:
            meaning = failures.meaning(error)
            if meaning is error:
                raise
            raise meaning from error


def _signing(gpg_key: str, gpg_home: Path | None) -> list[str]:
    if not gpg_key:
        return []
    return [f"--gpg-sign={gpg_key}", *([f"--gpg-homedir={gpg_home}"] if gpg_home else [])]
