"""What a node fetches when one package changed, beside the compressed size of the files that changed.

Two releases of the base edition are composed that differ in the version of a single package, as a security update
makes them. A repository that holds the older one, as a node's does, pulls the newer one over HTTP from a server that
counts the bytes: once object by object, once with a static delta.
"""

from __future__ import annotations

import gzip
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import EDITIONS, Bench, Benchmark
from benchmarks.measure import Result
from nestos.base.errors import CommandError, InputError, StateError
from nestos.compose import keys
from nestos.compose.pipeline import lock_of, read_manifest
from nestos.compose.release import Release
from nestos.compose.tools import RELEASE
from nestos.host.packages import sources
from nestos.host.packages.apt import AptBackend
from nestos.host.packages.backend import Request, Resolution, by_name
from nestos.host.toolbox import Toolbox
from nestos.lab.webserver import Traffic, WebServer
from nestos.ostree.repository import Repository

_EDITION = "base.yaml"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_REMOTE = "server"
_OBJECTS, _DELTA = "fetched object by object", "fetched with a static delta"
_ZSTD, _GZIP, _PLAIN = "changed files, one zstd -3 stream", "changed files, gzip -6 each", "changed files, plain"


@dataclass(frozen=True, kw_only=True)
class _Update:
    """The change of one package, and the locks of the trees before and after it."""

    package: str
    old_version: str
    new_version: str
    old: Resolution
    new: Resolution

    @property
    def size_bytes(self) -> int:
        """Of the new package file."""
        return by_name(self.new.packages)[self.package].size_bytes


def run(bench: Bench) -> Result:
    """The smallest, the middle and the largest update of a single package that the archive has for us today."""
    updates = _updates(bench)
    if not updates:
        raise StateError("the archive has no package of the base edition in two versions today")
    places = sorted({0, len(updates) // 2, len(updates) - 1})
    pairs, notes = [], []
    for update in (updates[place] for place in places):
        prefix = f"{update.package}: "
        notes += _measure(bench, update, prefix=prefix)
        pairs += [(prefix + way, prefix + size) for way in (_OBJECTS, _DELTA) for size in (_ZSTD, _GZIP)]
    notes.append("Bytes are the bodies of all answers, the signed summary and the commit included; headers are not.")
    notes.append("Byte counts do not vary, so each is measured once.")
    return bench.samples.result(pairs, notes=notes)


def _measure(bench: Bench, update: _Update, *, prefix: str) -> list[str]:
    """Samples of one update; returns what is to be said about it."""
    old = bench.release(_EDITION, lock=lock_of(update.old, shaping={})).release
    new = bench.release(_EDITION, lock=lock_of(update.new, shaping={})).release
    toolbox = bench.tools(bench.folder, network=True)
    server_side = Repository(bench.workspace.home / "benchmarks/repo", runner=toolbox)
    changed = _changed_files(server_side, old, new, folder=bench.folder, bench=bench)
    for name, size in _sizes(changed, folder=bench.folder, toolbox=toolbox).items():
        bench.samples.add(prefix + name, size, unit="B")
    public = keys.ensure(bench.workspace.folder("keys"), runner=toolbox)
    seeded = _seeded(bench, old, server_side=server_side, toolbox=toolbox)

    def pull(name: str, *, deltas: bool) -> Traffic:
        with bench.progress.stage(prefix + name), WebServer(server_side.path) as server:
            node = Repository(seeded.with_name("node"), runner=toolbox)
            shutil.rmtree(node.path, ignore_errors=True)
            toolbox(["cp", "--archive", seeded, node.path])
            node.add_remote(_REMOTE, url=server.url, keys=[public.public])
            node.pull(_REMOTE, f"{new.ref}@{new.commit}", deltas=deltas)
            traffic = server.traffic()
        bench.samples.add(prefix + name, traffic.total_bytes, unit="B")
        bench.samples.add(f"{prefix}requests, {name}", traffic.requests.total(), unit="")
        return traffic

    by_object = pull(_OBJECTS, deltas=False)
    with bench.progress.stage("static delta"):
        server_side.generate_delta(to=new.commit, source=old.commit)
        server_side.update_summary(gpg_key=public.fingerprint, gpg_home=public.home)
    pull(_DELTA, deltas=True)
    return _remarks(update, changed, traffic=by_object)


def _updates(bench: Bench) -> list[_Update]:
    """Updates of a single package, smallest package first."""
    manifest = read_manifest(EDITIONS / _EDITION, arch=bench.arch, variables={}, progress=bench.progress)
    work = bench.workspace.folder("benchmarks", "apt")
    toolbox = bench.tools(network=True)
    backend = AptBackend(runner=toolbox, work=work, pool=bench.workspace.folder("pool"))

    def resolve(pins: dict[str, str]) -> Resolution:
        return backend.resolve(
            Request(
                packages=manifest.packages,
                excluded=manifest.excluded_packages,
                architecture=_ARCHITECTURES[bench.arch],
                sources=tuple(sources.debian(RELEASE)),
                pins=pins,
            )
        )

    found = []
    with bench.progress.stage("looking for packages that the archive has in two versions"):
        new = resolve({})
        known = by_name(new.packages)
        listing = toolbox(["apt-cache", "madison", *known], environment={"APT_CONFIG": f"{work}/etc/apt.conf"})
        for name, version in older_versions(listing.stdout, {n: p.version for n, p in known.items()}).items():
            with suppress(InputError, CommandError):  # other packages want the newer one
                old = resolve({name: version})
                if _differing(old, new) == [name]:
                    found.append(
                        _Update(package=name, old_version=version, new_version=known[name].version, old=old, new=new)
                    )
    return sorted(found, key=lambda update: update.size_bytes)


def older_versions(madison: str, current: dict[str, str]) -> dict[str, str]:
    """From what ``apt-cache madison`` prints: each package that is also there in another version, and that version."""
    found = {}
    for line in madison.splitlines():
        name, version, *_ = (part.strip() for part in line.split("|"))
        if name in current and version != current[name]:
            found[name] = version
    return found


def _differing(old: Resolution, new: Resolution) -> list[str]:
    before, after = ({p.name: p.digest for p in found.packages} for found in (old, new))
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _changed_files(store: Repository, old: Release, new: Release, *, folder: Path, bench: Bench) -> dict[str, Path]:
    """The files of ``new`` that ``old`` has not or has otherwise: path in the tree to a copy."""
    tree = folder / "tree"
    with bench.progress.stage("files that changed"):
        shutil.rmtree(tree, ignore_errors=True)
        difference = store.difference(old.commit, new.commit)
        store.checkout(new.commit, tree, user_mode=True)
    paths = sorted({*difference.added, *difference.modified})
    files = {path: tree / path.lstrip("/") for path in paths}
    return {path: file for path, file in files.items() if file.is_file() and not file.is_symlink()}


def _sizes(changed: dict[str, Path], *, folder: Path, toolbox: Toolbox) -> dict[str, int]:
    contents = [file.read_bytes() for file in changed.values()]
    archive = folder / "changed"
    archive.write_bytes(b"".join(contents))
    toolbox(["zstd", "-3", "--quiet", "--force", archive, "-o", archive.with_suffix(".zst")])
    return {
        _PLAIN: archive.stat().st_size,
        _GZIP: sum(len(gzip.compress(content, 6, mtime=0)) for content in contents),
        _ZSTD: archive.with_suffix(".zst").stat().st_size,
    }


def _seeded(bench: Bench, old: Release, *, server_side: Repository, toolbox: Toolbox) -> Path:
    """A node's repository with the older release."""
    repository = Repository(bench.folder / "seeded", runner=toolbox)
    with bench.progress.stage("a repository with the older release"):
        shutil.rmtree(repository.path, ignore_errors=True)
        repository.init(mode="bare")
        repository.pull_local(server_side.path, old.commit)
        repository.set_ref("deployed", old.commit)
    return repository.path


def _remarks(update: _Update, changed: dict[str, Path], *, traffic: Traffic) -> list[str]:
    largest = sorted(changed, key=lambda path: changed[path].stat().st_size, reverse=True)[:4]
    names = ", ".join(f"`{path}` ({changed[path].stat().st_size / 1e6:.2f} MB)" for path in largest)
    kinds = ", ".join(f"{size / 1e6:.3f} MB {kind}" for kind, size in kinds_of(traffic.body_bytes.items()))
    return [
        f"{update.package} {update.old_version} to {update.new_version}: a package file of"
        f" {update.size_bytes / 1e6:.2f} MB; {len(changed)} files of the tree changed, the largest: {names}.",
        f"{update.package}, object by object: {kinds}.",
    ]


def kinds_of(traffic: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """Bytes by kind of object (``filez``, ``dirtree``, ``commit``, ``summary``, ``deltas``), largest first."""
    total: dict[str, int] = defaultdict(int)
    for path, size in traffic:
        match = re.match(r"/(?:objects/../\w+\.)?(\w+)", path)
        total[match.group(1) if match else path] += size
    return sorted(total.items(), key=lambda item: -item[1])


BENCHMARK = Benchmark(
    name="update-bytes",
    summary="bytes fetched for a one-package update, against the compressed files that changed",
    run=run,
    runs=1,
    minutes=15,
)
