"""The RPM backend: dnf resolves, librepo fetches, rpm verifies and installs; rpm's database is the truth.

All of it runs from the tools tree of RPM programs. Resolving reads repository indexes alone, so that no installed
system matters. Package files and the keys that vouch for them go to a pool named by digest; installing gives exactly
the resolved files to rpm, without network: the same resolution gives the same root whenever the pool has its files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nestos.base.errors import CommandError, InputError, VerificationError
from nestos.host import space
from nestos.host.packages import dnf_failures, rpm_root
from nestos.host.packages.backend import AccountFiles, Package, Request, Resolution, RpmSource
from nestos.host.packages.pool import Pool
from nestos.host.process import Runner

_PROGRAM = Path(__file__).with_name("dnf_program.py")
_ARMOUR = "-----BEGIN PGP"
_FOLDERS = ("cache", "empty", "log", "state")  # below ``work``: dnf's own, and a root in which nothing is installed


class DnfBackend:
    """Drives dnf and rpm inside ``runner`` (a toolbox that sees ``work`` and ``pool``).

    ``work`` holds dnf's state (indexes, keys), ``pool`` the package files; both may be kept between runs.
    """

    name = "dnf"

    def __init__(self, *, runner: Runner, work: Path, pool: Path) -> None:
        self._run = runner
        self._work = work
        self._pool = Pool(pool, ending=".rpm")
        self._downloads = work / "download"

    def resolve(self, request: Request) -> Resolution:
        """As the interface says. Raises ``NetworkError`` naming the repository that cannot be read."""
        for name in _FOLDERS:
            (self._work / name).mkdir(parents=True, exist_ok=True)
        sources = [source for source in request.sources if isinstance(source, RpmSource)]
        bundles = {source.name: self._bundle(source) for source in sources}
        question = {
            "do": "resolve",
            "work": str(self._work),
            "architecture": request.architecture,
            "recommends": request.recommends,
            "packages": list(request.packages),
            "excluded": list(request.excluded),
            "pins": dict(request.pins),
            "sources": [_section(source, key=bundles[source.name]) for source in sources],
        }
        answer = self._ask(question)
        if "unfetched" in answer:
            raise dnf_failures.unfetched(answer["unfetched"])
        if "packages" not in answer:
            raise dnf_failures.unresolved(answer, request)
        trust = {s.name: bundles[s.name].stem if s.check_packages else "" for s in sources}
        packages = [_package(entry, trust=trust) for entry in answer["packages"]]
        return Resolution(packages=tuple(packages), timestamp=int(answer["timestamp"]))

    def fetch(self, resolution: Resolution) -> Path:
        """Downloads what the pool lacks, then checks the signatures of all that must have one.

        A partial download goes on where it stopped. Raises ``NetworkError``, ``VerificationError`` and ``SpaceError``.
        """
        missing = [package for package in resolution.packages if not self._pool.holds(package)]
        if missing:
            need = sum(package.size_bytes for package in missing)
            space.require(self._pool.folder, need_bytes=need, what=f"{len(missing)} package files")
            self._download(missing)
        for trust in sorted({package.trust for package in resolution.packages if package.trust}):
            self._check_signatures([p for p in resolution.packages if p.trust == trust], trust=trust)
        return self._pool.folder

    def install(self, resolution: Resolution, *, target: Path, accounts: AccountFiles) -> None:
        """Makes the root. The scriptlets run in a sandbox that can write nothing but the root."""
        files = [self._pool.place(package) for package in resolution.packages]
        rpm_root.make(target, files, accounts=accounts, timestamp=resolution.timestamp, runner=self._run)

    def installed(self, tree: Path) -> dict[str, str]:
        """Reads the database at its place in the tree."""
        form = "%{NAME}\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\n"
        listing = rpm_root.query(tree, ["--all", f"--queryformat={form}"], runner=self._run).stdout
        lines = sorted(line for line in listing.splitlines() if not line.startswith("gpg-pubkey\t"))
        return dict(line.split("\t") for line in lines)

    def files(self, tree: Path, package: str) -> list[str]:
        """Reads them from the database in the tree."""
        done = rpm_root.query(tree, ["--list", package], runner=self._run, accepted=(0, 1))
        if done.returncode:
            raise InputError(f"the package {package!r} is not in the tree")
        return [line for line in done.stdout.splitlines() if line.startswith("/")]

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Runs the program inside; its answer. A full disk is told apart, any other crash is ours."""
        program = self._work / "program.py"
        program.write_bytes(_PROGRAM.read_bytes())
        try:
            done = self._run(["python3", "-I", str(program)], stdin=json.dumps(question))
        except CommandError as error:
            raise dnf_failures.broken(error) from error
        answer = json.loads(done.stdout)
        assert isinstance(answer, dict)
        return answer

    def _bundle(self, source: RpmSource) -> Path:
        """All keys of a repository in one file of the pool, named by its digest. Raises where one is needed."""
        texts = [key if key.startswith(_ARMOUR) else self._fetched_key(key) for key in source.keys]
        if not texts and (source.check_packages or source.check_index):
            raise InputError(
                f"the repository {source.name} has no key to check signatures with",
                hint="name its gpgkey in the manifest, or say gpgcheck: false to take unsigned packages",
            )
        data = "\n".join(text.strip() + "\n" for text in texts).encode()
        file = self._pool.folder / f"{hashlib.sha256(data).hexdigest()}.keys"
        file.write_bytes(data)
        return file

    def _fetched_key(self, address: str) -> str:
        place = self._work / f"{hashlib.sha256(address.encode()).hexdigest()}.key"
        answer = self._ask({"do": "fetch-keys", "files": [{"address": address, "place": str(place)}]})
        if "unfetched" in answer:
            raise dnf_failures.unfetched(answer["unfetched"])
        text = place.read_text(errors="replace")
        if not text.lstrip().startswith(_ARMOUR):
            raise VerificationError(f"{address} is not an OpenPGP key in armour")
        return text.lstrip()

    def _download(self, packages: Sequence[Package]) -> None:
        self._downloads.mkdir(parents=True, exist_ok=True)
        files = [
            {
                "address": package.uri,
                "sha256": package.sha256,
                "size": package.size_bytes,
                "place": str(self._downloads / self._pool.name(package)),
            }
            for package in packages
        ]
        answer = self._ask({"do": "fetch", "files": files})
        lost = self._pool.take_in(packages, downloads=self._downloads)
        if "unfetched" in answer:
            raise dnf_failures.unfetched(answer["unfetched"])
        if lost:
            listing = ", ".join(f"{package.name} {package.version}" for package in lost)
            raise VerificationError(f"the repository gave other content than its index says for: {listing}")

    def _check_signatures(self, packages: Sequence[Package], *, trust: str) -> None:
        """Raises ``VerificationError`` naming every package that no key of the bundle ``trust`` has signed."""
        keyring = self._work / "keyrings" / trust
        if not (keyring / "ready").exists():
            keyring.mkdir(parents=True, exist_ok=True)
            self._run(["rpmkeys", f"--dbpath={keyring}", "--import", str(self._pool.folder / f"{trust}.keys")])
            (keyring / "ready").touch()
        command = ["rpmkeys", f"--dbpath={keyring}", "--define=_pkgverify_level all", "--checksig"]
        files = {str(self._pool.place(package)): package for package in packages}
        done = self._run([*command, *files], accepted=range(256))
        if done.returncode:
            raise dnf_failures.unsigned(done, files)


def _section(source: RpmSource, *, key: Path) -> dict[str, Any]:
    return {
        "name": source.name,
        "addresses": list(source.addresses),
        "metalink": source.metalink,
        "keys": [key.as_uri()] if source.keys else [],
        "check_index": source.check_index,
        "priority": source.priority,
        "excluded": list(source.excluded),
    }


def _package(entry: Mapping[str, Any], *, trust: Mapping[str, str]) -> Package:
    fields = dict(entry)
    source = fields.pop("source")
    if not str(fields["digest"]).startswith("sha256:"):
        name = fields["name"]
        raise VerificationError(f"the repository {source} names no sha256 of {name}: {fields['digest']}")
    return Package(**fields, trust=trust[source])
