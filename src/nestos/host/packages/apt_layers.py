"""Debian packages on top of a release: apt decides and fetches, dpkg installs inside the tree.

apt runs on the node with the node's own sources, keyrings and settings, but against the package database of the tree
that is being changed, and with state of its own. The tree's packages are pinned at their versions, so the solver never
replaces one on the way: what needs that is refused, as on every image-based system, and the answer is a newer base or
an override. Installing runs apt once more, inside, on exactly the files that were fetched and checked.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from nestos.base.errors import CommandError, InputError, VerificationError
from nestos.base.paths import Root
from nestos.host.packages import apt_failures
from nestos.host.packages.apt import file_key
from nestos.host.packages.backend import Package
from nestos.host.packages.layering import Change, Found, Solution, Wish
from nestos.host.packages.pool import digest
from nestos.host.process import Completed, Runner

_DATABASE = "usr/lib/sysimage/dpkg"
_URI_LINE = re.compile(r"^'(?P<uri>[^']+)' (?P<file>\S+\.deb) (?P<size>\d+) SHA256:(?P<digest>[0-9a-f]{64})$", re.M)
_PLAN_LINE = re.compile(
    r"^(?P<what>Inst|Remv|Purg) (?P<name>[^ :]+)\S*(?: \[(?P<old>[^]]+)])?(?: \((?P<new>\S+) )?", re.M
)
_LINES_SHOWN = 20
_INSTALL_SECONDS = 3600.0
_INSIDE_SCRIPT = 'mkdir -p /tmp/lists/partial /tmp/cache/archives/partial && exec "$@"'
_QUIET = {"DEBIAN_FRONTEND": "noninteractive", "DEBCONF_NONINTERACTIVE_SEEN": "true", "SYSTEMD_OFFLINE": "1"}


class AptLayers:
    """apt on the node at ``root``; ``work`` keeps indexes, ``pool`` package files."""

    name = "apt"

    def __init__(self, *, root: Root, work: Path, pool: Path, runner: Runner) -> None:
        self._root = root
        self._work = work
        self._pool = pool
        self._run = runner

    def installed(self, tree: Path) -> dict[str, str]:
        """From dpkg's database in the tree; half-installed packages and remains of configuration are none."""
        found = {}
        for stanza in _stanzas((tree / _DATABASE / "status").read_text(errors="replace")):
            if _field(stanza, "Status").endswith(" installed"):
                found[_field(stanza, "Package")] = _field(stanza, "Version")
        return found

    def inspect(self, file: Path) -> Package:
        """Reads the control file inside."""
        try:
            control = self._run(["dpkg-deb", "--field", file, "Package", "Version", "Architecture"]).stdout
        except CommandError as error:
            raise InputError(f"{file} is no Debian package: {error.output.strip()}") from error
        architecture = _field(control, "Architecture")
        native = self._run(["dpkg", "--print-architecture"]).stdout.strip()
        if architecture not in ("all", native):
            raise InputError(f"{file} is for {architecture}, this node is {native}")
        return Package(
            name=_field(control, "Package"),
            version=_field(control, "Version"),
            architecture=architecture,
            digest=f"sha256:{digest(file)}",
            size_bytes=file.stat().st_size,
            uri=file.as_uri(),
        )

    def refresh(self, *, allow_unsigned: bool) -> None:
        """Runs ``apt-get update``; a source that cannot be reached or trusted is an error, not a warning."""
        self._make_folders()
        command = ["apt-get", "update", "--error-on=any"]
        if allow_unsigned:
            command.append("-oAcquire::AllowInsecureRepositories=true")
            command.append("-oAcquire::AllowDowngradeToInsecureRepositories=true")
        try:
            self._apt(command)
        except CommandError as error:
            raise apt_failures.unfetched(error) from error

    def solve(self, tree: Path, wish: Wish, *, allow_unsigned: bool) -> Solution:
        """Simulates the installation against the tree's database, then asks for addresses and digests."""
        self._make_folders()
        own = self.installed(tree)
        self._pin(own, wish)
        line = self._install_line(tree, wish, allow_unsigned=allow_unsigned)
        try:
            simulated = self._apt([*line, "--simulate"]).stdout
            # --print-uris leaves out what is in the folder of archives already.
            listed = self._apt([*line, "--print-uris", f"-oDir::Cache::archives={self._work}/none/"]).stdout
        except CommandError as error:
            raise apt_failures.unsolved(error) from error
        changes = [_change(match) for match in _PLAN_LINE.finditer(simulated)]
        _refuse_unasked(changes, wish)
        packages = [_package(match) for match in _URI_LINE.finditer(listed)]
        return Solution(
            tree=tree, wish=wish, changes=tuple(changes), packages=tuple(sorted(packages, key=lambda p: p.name))
        )

    def fetch(self, solution: Solution, *, allow_unsigned: bool) -> tuple[Path, ...]:
        """Downloads what the pool lacks; half a file is gone on with."""
        self._pool.mkdir(parents=True, exist_ok=True)
        (self._pool / "partial").mkdir(exist_ok=True)
        files = {self._place(package): package for package in solution.packages}
        if not all(_is_whole(file, package) for file, package in files.items()):
            line = self._install_line(solution.tree, solution.wish, allow_unsigned=allow_unsigned)
            try:
                self._apt([*line, "--download-only", f"-oDir::Cache::archives={self._pool}/"])
            except CommandError as error:
                raise apt_failures.unfetched(error) from error
        for file, package in files.items():
            if not _is_whole(file, package):
                (self._pool / file.name).unlink(missing_ok=True)
                raise VerificationError(f"{package.name} {package.version} is not what the index says")
        return (*files, *solution.wish.files, *solution.wish.replacements)

    def apply(self, solution: Solution, files: Sequence[Path], *, inside: Runner) -> None:
        """Runs apt inside on the files alone: it knows the order that dependencies and triggers need."""
        line = ["sh", "-c", _INSIDE_SCRIPT, "layers"]
        line += ["apt-get", "install", "--yes", "--no-install-recommends", "--allow-downgrades"]
        line += ["--allow-unauthenticated"]  # the files were checked when they were fetched
        line += ["-oDir::Etc::sourcelist=/dev/null", "-oDir::Etc::sourceparts=/dev/null"]
        line += ["-oDir::State::lists=/tmp/lists", "-oDir::Cache=/tmp/cache", "-oAPT::Sandbox::User=root"]
        line += ["-oDpkg::Use-Pty=0", "-oDpkg::Options::=--force-confold", "-oDpkg::Options::=--force-unsafe-io"]
        line += [str(file) for file in files]
        line += [f"{name}-" for name in solution.wish.removals]
        try:
            inside(line, environment=_QUIET, timeout_seconds=_INSTALL_SECONDS)
        except CommandError as error:
            end = "\n".join(f"  {text}" for text in error.output.splitlines()[-_LINES_SHOWN:])
            raise CommandError(
                f"the packages could not be installed; dpkg ended with:\n{end}",
                returncode=error.returncode,
                output=error.output,
                hint="nothing was changed on this node",
            ) from error

    def search(self, words: Sequence[str], *, names_only: bool) -> list[Found]:
        """Searches the indexes that ``refresh`` last read."""
        self._make_folders()
        line = ["apt-cache", "search", *(["--names-only"] if names_only else []), *words]
        rows = (text.partition(" - ") for text in self._apt(line).stdout.splitlines())
        return [Found(name=name, summary=summary) for name, _, summary in rows if name]

    def forget(self, *, files: bool, indexes: bool) -> None:
        """Removes the pool, or what the sources said."""
        if files:
            shutil.rmtree(self._pool, ignore_errors=True)
        if indexes:
            shutil.rmtree(self._work, ignore_errors=True)

    def _install_line(self, tree: Path, wish: Wish, *, allow_unsigned: bool) -> list[str]:
        line = ["apt-get", "install", "--yes", "--allow-downgrades", f"-oDir::State::status={tree}/{_DATABASE}/status"]
        line += ["--allow-unauthenticated"] if allow_unsigned else []
        line += [*wish.packages, *(str(file) for file in (*wish.files, *wish.replacements))]
        return [*line, *(f"{name}-" for name in wish.removals)]

    def _place(self, package: Package) -> Path:
        """Where its file is when it was fetched: apt does not copy what a source has on this very machine."""
        address = urlsplit(package.uri)
        return Path(unquote(address.path)) if address.scheme == "file" else self._pool / Path(address.path).name

    def _pin(self, own: dict[str, str], wish: Wish) -> None:
        free = {self.inspect(file).name for file in wish.replacements} | set(wish.removals)
        pins = [
            f"Package: {name}\nPin: version {version}\nPin-Priority: 1001\n"
            for name, version in own.items()
            if name not in free
        ]
        (self._work / "preferences").write_text("\n".join(pins))

    def _make_folders(self) -> None:
        for name in ("lists/partial", "cache", "none/partial"):
            (self._work / name).mkdir(parents=True, exist_ok=True)
        (self._work / "preferences").touch()
        (self._work / "defaults.conf").write_text('APT::Install-Recommends "false";\nAcquire::Languages "none";\n')

    def _apt(self, command: Sequence[str]) -> Completed:
        """Runs apt; an error carries both streams, because apt explains itself on the one and fails on the other."""
        etc = self._root.join("/etc/apt")
        settings = {
            "Dir::Etc": f"{etc}/",
            "Dir::Etc::preferences": f"{self._work}/preferences",
            "Dir::State::lists": f"{self._work}/lists/",
            "Dir::Cache": f"{self._work}/cache/",
            "APT::Sandbox::User": "root",
            "Acquire::Retries": "3",
            "Acquire::http::Timeout": "30",
            "Acquire::https::Timeout": "30",
            "Acquire::ForceHash": "SHA256",
            "Debug::NoLocking": "true",  # the transaction's lock is held
        }
        # What a node's own settings may change stands in a file that apt reads before them.
        environment = {"APT_CONFIG": f"{self._work}/defaults.conf", **_QUIET}
        line = [*command[:2], *(f"-o{name}={value}" for name, value in settings.items()), *command[2:]]
        done = self._run(line, environment=environment, accepted=(0, 100))
        if done.returncode != 0:
            raise CommandError(
                f"exit status {done.returncode} from: {' '.join(command[:2])} ...\n{done.stderr.strip()}",
                returncode=done.returncode,
                output=f"{done.stdout}\n{done.stderr}",
            )
        return done


def _refuse_unasked(changes: Sequence[Change], wish: Wish) -> None:
    """Raises ``InputError`` where the solver would take out packages of the base that nobody named."""
    unasked = [change.name for change in changes if not change.new and change.name not in wish.removals]
    if unasked:
        raise InputError(
            f"this would also remove packages of the release: {', '.join(unasked)}",
            hint="if that is meant, name them too: override remove",
        )


def _change(match: re.Match[str]) -> Change:
    is_gone = match["what"] != "Inst"
    return Change(name=match["name"], old=match["old"] or "", new="" if is_gone else match["new"] or "")


def _package(match: re.Match[str]) -> Package:
    name, version = file_key(match["file"])
    return Package(
        name=name,
        version=version,
        architecture=match["file"].removesuffix(".deb").rpartition("_")[2],
        digest=f"sha256:{match['digest']}",
        size_bytes=int(match["size"]),
        uri=f"{match['uri'].rpartition('/')[0]}/{match['file']}",
    )


def _is_whole(file: Path, package: Package) -> bool:
    return file.is_file() and file.stat().st_size == package.size_bytes and digest(file) == package.sha256


def _stanzas(text: str) -> list[str]:
    return [stanza for stanza in re.split(r"\n\n+", text) if stanza.strip()]


def _field(stanza: str, name: str) -> str:
    match = re.search(rf"^{name}: (.*)$", stanza, flags=re.MULTILINE)
    return match[1].strip() if match else ""
