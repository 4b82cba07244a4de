"""The Debian backend: apt resolves and fetches, mmdebstrap installs, dpkg's database is the truth.

All of it runs from the tools tree. Resolving works against an empty dpkg status, so that the host's own packages
never matter. Package files go to a pool named by digest; installing reads a small repository made of exactly the
resolved files, without network: the same resolution gives the same root whenever the pool still has its files.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path

from nestos.base.errors import CommandError, InputError, VerificationError
from nestos.host import space
from nestos.host.packages import apt_failures
from nestos.host.packages.backend import AccountFiles, Package, PackageSource, Request, Resolution
from nestos.host.packages.pool import Pool
from nestos.host.process import Completed, Runner

_URI_LINE = re.compile(r"^'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<digest>[0-9a-f]{64})$", re.MULTILINE)
_NETWORK = {"Acquire::Retries": "3", "Acquire::http::Timeout": "30", "Acquire::https::Timeout": "30"}
_LINES_SHOWN = 20  # of a failed installation: enough for what a maintainer script said

# Documentation and translations never reach a node; licences stay.
_PATHS_LEFT_OUT = (
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/doc/*",
    "/usr/share/lintian/*",
    "/usr/share/bash-completion/*",
    "/usr/share/zsh/*",
    "/usr/share/fish/*",
)
_PATHS_KEPT = ("/usr/share/doc/*/copyright",)


class AptBackend:
    """Drives apt and mmdebstrap inside ``runner`` (a toolbox that sees ``work`` and ``pool``).

    ``work`` holds apt's state (indexes, configuration), ``pool`` the package files; both may be kept between runs.
    ``keyrings`` are the archive keys, a folder inside the tools tree.
    """

    name = "apt"

    def __init__(self, *, runner: Runner, work: Path, pool: Path, keyrings: str = "/usr/share/keyrings") -> None:
        self._run = runner
        self._work = work
        self._pool = Pool(pool, ending=".deb")
        self._keyrings = keyrings
        self._downloads = work / "download"

    def resolve(self, request: Request) -> Resolution:
        """As the interface says. Raises ``NetworkError`` naming the source that cannot be reached."""
        self._configure(request)
        self._update()
        try:
            printed = self._apt(["apt-get", "install", "--yes", "--print-uris", "?essential", *request.packages]).stdout
        except CommandError as error:
            raise apt_failures.unresolved(error, request) from error
        uris = {match["digest"]: match for match in _URI_LINE.finditer(printed)}
        stanzas = self._stanzas([file_key(match["file"]) for match in uris.values()])
        packages = [_package(match, stanzas) for match in uris.values()]
        return Resolution(packages=tuple(sorted(packages, key=lambda p: p.name)), timestamp=self._archive_date())

    def fetch(self, resolution: Resolution) -> Path:
        """Downloads what the pool lacks by address and digest, whatever apt's indexes have come to say since.

        A partial download goes on where it stopped. Raises ``NetworkError``, ``VerificationError`` and ``SpaceError``.
        """
        missing = [package for package in resolution.packages if not self._pool.holds(package)]
        if missing:
            need = sum(package.size_bytes for package in missing)
            space.require(self._pool.folder, need_bytes=need, what=f"{len(missing)} package files")
            try:
                self._download(missing)
            except CommandError as error:
                self._take_in(missing)
                raise apt_failures.unfetched(error) from error
            lost = self._take_in(missing)
            if lost:
                for package in lost:  # the download says that it is complete, so there is nothing to go on from
                    (self._downloads / self._pool.name(package)).unlink(missing_ok=True)
                listing = ", ".join(f"{package.name} {package.version}" for package in lost)
                raise VerificationError(f"the archive gave other content than its index says for: {listing}")
        return self._pool.folder

    def install(self, resolution: Resolution, *, target: Path, accounts: AccountFiles) -> None:
        """Makes the root. The maintainer scripts run in it, without network."""
        repository = self._work / "repository"
        self._make_repository(resolution, repository)
        hook = self._work / "accounts-hook"
        hook.write_text(_accounts_hook(accounts))
        hook.chmod(0o755)
        names = ",".join(package.name for package in resolution.packages)
        architectures = {package.architecture for package in resolution.packages} - {"all"}
        options = [f"--dpkgopt=path-exclude={pattern}" for pattern in _PATHS_LEFT_OUT]
        options += [f"--dpkgopt=path-include={pattern}" for pattern in _PATHS_KEPT]
        command = [
            "mmdebstrap",
            "--mode=root",
            "--variant=essential",
            # Who composes for another architecture has seen to it that its programs run.
            "--skip=check/empty,check/qemu,cleanup/reproducible",
            *(f"--architectures={name}" for name in architectures),
            "--dpkgopt=force-unsafe-io",
            '--aptopt=Apt::Install-Recommends "false"',
            *options,
            f"--include={names}",
            f'--essential-hook={hook} "$1"',
            "",
            str(target),
            f"deb [trusted=yes] copy://{repository} ./",
        ]
        environment = {"SOURCE_DATE_EPOCH": str(resolution.timestamp), "INITRD": "No", "PYTHONHASHSEED": "0"}
        try:
            self._run(command, environment=environment)
        except CommandError as error:
            end = "\n".join(f"  {line}" for line in error.output.splitlines()[-_LINES_SHOWN:])
            raise CommandError(
                f"the packages could not be installed; mmdebstrap ended with:\n{end}",
                returncode=error.returncode,
                output=error.output,
                hint="the whole command is in the log of: nestos -v",
            ) from error

    def installed(self, tree: Path) -> dict[str, str]:
        """Reads the database at its place in a finished tree, or where dpkg itself keeps it."""
        for place in ("usr/lib/sysimage/dpkg", "var/lib/dpkg"):
            database = tree / place
            if (database / "status").exists():
                form = "${Package}\t${Version}\n"
                listing = self._run(["dpkg-query", f"--admindir={database}", "--show", f"--showformat={form}"]).stdout
                return dict(line.split("\t") for line in listing.splitlines())
        raise InputError(f"{tree} holds no dpkg database")

    def files(self, tree: Path, package: str) -> list[str]:
        """Reads the list that dpkg keeps of each package."""
        info = tree / "var/lib/dpkg/info"
        found = sorted(info.glob(f"{package}.list")) or sorted(info.glob(f"{package}:*.list"))
        if not found:
            raise InputError(f"the package {package!r} is not in the tree")
        return found[0].read_text().splitlines()

    def _configure(self, request: Request) -> None:
        for folder in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg", "etc"):
            (self._work / folder).mkdir(parents=True, exist_ok=True)
        (self._work / "var/lib/dpkg/status").write_text("")
        for known in (self._work / "var/cache/apt/archives").glob("*.deb"):
            known.unlink()  # --print-uris leaves out what is in there
        origins = [source for source in request.sources if isinstance(source, PackageSource)]
        lines = [f"deb {s.uri} {s.suite} {' '.join(s.components)}\n" for s in origins]
        (self._work / "etc/sources.list").write_text("".join(lines))
        pins = [
            f"Package: {name}\nPin: version {version}\nPin-Priority: 1001\n"
            for name, version in request.pins.items()
            if name not in request.excluded
        ]
        pins += [f"Package: {name}\nPin: version *\nPin-Priority: -1\n" for name in request.excluded]
        (self._work / "etc/preferences").write_text("\n".join(pins))
        settings = {
            "Dir": f"{self._work}/",
            "Dir::State::status": f"{self._work}/var/lib/dpkg/status",
            "Dir::Etc::parts": "/dev/null",
            "Dir::Etc::sourcelist": f"{self._work}/etc/sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": f"{self._work}/etc/preferences",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::Etc::trustedparts": self._keyrings,
            "APT::Architecture": request.architecture,
            "APT::Architectures": request.architecture,
            "APT::Install-Recommends": str(request.recommends).lower(),
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::ForceHash": "SHA256",
        } | _NETWORK
        text = "".join(f'{name} "{value}";\n' for name, value in settings.items())
        (self._work / "etc/apt.conf").write_text(text)

    def _apt(self, command: Sequence[str], *, cwd: Path | None = None) -> Completed:
        """Runs apt; an error carries both streams, because apt explains itself on the one and fails on the other."""
        done = self._run(command, environment={"APT_CONFIG": f"{self._work}/etc/apt.conf"}, cwd=cwd, accepted=(0, 100))
        if done.returncode != 0:
            raise CommandError(
                f"exit status {done.returncode} from: {' '.join(command[:2])} ...\n{done.stderr.strip()}",
                returncode=done.returncode,
                output=f"{done.stdout}\n{done.stderr}",
            )
        return done

    def _download(self, packages: Sequence[Package]) -> None:
        command = ["/usr/lib/apt/apt-helper", "download-file"]
        command += ["-oDir::Etc::parts=/dev/null", "-oAPT::Sandbox::User=root"]
        command += [f"-o{name}={value}" for name, value in _NETWORK.items()]
        for package in packages:
            command += [package.uri, self._pool.name(package), f"SHA256:{package.sha256}"]
        self._downloads.mkdir(parents=True, exist_ok=True)
        self._apt(command, cwd=self._downloads)

    def _update(self) -> None:
        try:
            self._apt(["apt-get", "update", "--error-on=any"])
        except CommandError as error:
            raise apt_failures.unfetched(error) from error

    def _stanzas(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """The index entry of each (name, version)."""
        names = [f"{name}={version}" for name, version in keys]
        printed = self._apt(["apt-cache", "show", *names]).stdout
        found = {}
        for stanza in re.split(r"\n\n+", printed.strip()):
            found[_field(stanza, "Package"), _field(stanza, "Version")] = stanza
        return found

    def _archive_date(self) -> int:
        dates = []
        for release in (self._work / "var/lib/apt/lists").glob("*Release"):
            for line in release.read_text(errors="replace").splitlines():
                if line.startswith("Date:"):
                    stamp = parsedate_to_datetime(line.removeprefix("Date:").strip())
                    dates.append(int(stamp.replace(tzinfo=stamp.tzinfo or UTC).timestamp()))
                    break
        if not dates:
            raise InputError("no release file of the package sources has a date")
        return max(dates)

    def _take_in(self, packages: Sequence[Package]) -> list[Package]:
        lost = self._pool.take_in(packages, downloads=self._downloads)
        for garbage in self._downloads.glob("*.FAILED"):
            garbage.unlink()
        return lost

    def _make_repository(self, resolution: Resolution, folder: Path) -> None:
        """A flat repository of exactly these files: links into the pool, and an index made of apt's own entries."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        entries = []
        for package in resolution.packages:
            name = f"{package.name}_{package.sha256[:16]}.deb"
            (folder / name).hardlink_to(self._pool.place(package))
            entry = re.sub(r"^Filename:.*$", f"Filename: ./{name}", package.stanza, flags=re.MULTILINE)
            entries.append(entry + "\n")
        (folder / "Packages").write_text("\n".join(entries))


def file_key(file: str) -> tuple[str, str]:
    """Name and version from a file name as apt prints it: ``name_version_arch.deb``, with ``%3a`` for a colon."""
    name, version, _ = file.split("_", 2)
    return name, version.replace("%3a", ":")


def _field(stanza: str, name: str) -> str:
    match = re.search(rf"^{name}: (.*)$", stanza, flags=re.MULTILINE)
    return match[1] if match else ""


def _package(match: re.Match[str], stanzas: dict[tuple[str, str], str]) -> Package:
    name, version = file_key(match["file"])
    stanza = stanzas[name, version]
    return Package(
        name=name,
        version=version,
        architecture=_field(stanza, "Architecture"),
        digest=f"sha256:{match['digest']}",
        size_bytes=int(match["size"]),
        installed_bytes=int(_field(stanza, "Installed-Size") or 0) << 10,
        uri=match["uri"],
        stanza=stanza,
    )


def _accounts_hook(accounts: AccountFiles) -> str:
    """A script that adds the accounts to the account files of the root given to it, where they are missing."""
    lines = ["#!/bin/sh", "set -eu", 'etc="$1/etc"']
    for name, gid in sorted(accounts.groups.items()):
        lines.append(f'grep -q "^{name}:" "$etc/group" || echo "{name}:x:{gid}:" >>"$etc/group"')
        lines.append(_shadow_line("gshadow", name, "!::"))
    for name, (uid, gid, gecos, home, shell) in sorted(accounts.users.items()):
        entry = f"{name}:x:{uid}:{gid}:{gecos}:{home}:{shell}"
        lines.append(f'grep -q "^{name}:" "$etc/passwd" || echo "{entry}" >>"$etc/passwd"')
        lines.append(_shadow_line("shadow", name, "!*:::::::"))
    return "\n".join(lines) + "\n"


def _shadow_line(file: str, name: str, rest: str) -> str:
    path = f'"$etc/{file}"'
    return f'test ! -e {path} || grep -q "^{name}:" {path} || echo "{name}:{rest}" >>{path}'
