"""The program that ``dnf`` (the backend) runs inside the tools tree: a question in JSON in, an answer in JSON out.

It is the one module that imports dnf and librepo, of Debian 13's Python; nothing imports it, its text is handed to
that interpreter. dnf's own solver decides; nothing is read from what dnf prints for people. Errors are answers too.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import dnf
import dnf.conf
import dnf.exceptions
import dnf.repo
import dnf.rpm
import hawkey
import librepo

_RETRIES = 3
_TIMEOUT_SECONDS = 30
_NEAREST = 3
_ALGORITHMS = {hawkey.CHKSUM_SHA256: "sha256", hawkey.CHKSUM_SHA512: "sha512", hawkey.CHKSUM_SHA384: "sha384"}


def resolve(question: Mapping[str, Any]) -> dict[str, Any]:
    """The packages that dnf's solver chooses, or why it cannot: ``missing`` names, ``problems`` in its own words."""
    base = _base(question)
    try:
        base.fill_sack(load_system_repo=False, load_available_repos=True)
    except dnf.exceptions.RepoError as error:
        return {"unfetched": [str(error)]}
    _exclude(base, question["excluded"])
    missing = _pin(base, question["pins"], wanted=question["packages"])
    for words in question["packages"]:
        try:
            base.install(words)
        except dnf.exceptions.MarkingError:
            missing[words] = _near(base, words)
    if missing:
        return {"missing": missing}
    try:
        base.resolve()
    except dnf.exceptions.DepsolveError as error:
        return {"problems": str(error)}
    chosen = sorted(base.transaction.install_set, key=lambda package: (package.name, package.arch))
    stamps = [repo._repo.getMaxTimestamp() for repo in base.repos.iter_enabled()]
    return {"packages": [_package(package) for package in chosen], "timestamp": max(stamps)}


def fetch(question: Mapping[str, Any]) -> dict[str, Any]:
    """Downloads each of ``files`` (address, digest, size) to its place; a partial file goes on where it stopped."""
    handle = librepo.Handle()
    handle.repotype = librepo.LR_YUMREPO
    handle.allowedmirrorfailures = _RETRIES
    targets = [
        librepo.PackageTarget(
            file["address"],
            dest=file["place"],
            checksum_type=librepo.SHA256,
            checksum=file["sha256"],
            expectedsize=file["size"],
            resume=True,
            handle=handle,
        )
        for file in question["files"]
    ]
    try:
        librepo.download_packages(targets, failfast=False)
    except librepo.LibrepoException as error:
        return {"unfetched": [str(error.args[1])]}
    failed = [f"{target.relative_url}: {target.err}" for target in targets if target.err]
    return {"unfetched": failed} if failed else {}


def fetch_keys(question: Mapping[str, Any]) -> dict[str, Any]:
    """Downloads each of ``files`` (address, place), which nothing but TLS vouches for."""
    for file in question["files"]:
        try:
            with open(file["place"], "wb") as output:
                librepo.download_url(file["address"], output.fileno())
        except librepo.LibrepoException as error:
            return {"unfetched": [f"{file['address']}: {error.args[1]}"]}
    return {}


def _base(question: Mapping[str, Any]) -> dnf.Base:
    conf = dnf.conf.Conf()
    work = question["work"]
    conf.installroot = f"{work}/empty"
    conf.cachedir, conf.persistdir, conf.logdir = f"{work}/cache", f"{work}/state", f"{work}/log"
    conf.reposdir, conf.varsdir, conf.pluginpath = [], [], []
    conf.substitutions["arch"] = question["architecture"]
    conf.substitutions["basearch"] = dnf.rpm.basearch(question["architecture"])
    conf.install_weak_deps = question["recommends"]
    conf.module_platform_id = ""
    conf.best = True
    conf.retries, conf.timeout = _RETRIES, _TIMEOUT_SECONDS
    base = dnf.Base(conf)
    for source in question["sources"]:
        base.repos.add(_repository(source, conf))
    return base


def _repository(source: Mapping[str, Any], conf: dnf.conf.Conf) -> dnf.repo.Repo:
    repository = dnf.repo.Repo(source["name"], conf)
    repository.baseurl = source["addresses"]
    if source["metalink"]:
        repository.metalink = source["metalink"]
    repository.gpgkey = source["keys"]  # taken without a question: the manifest gave them
    repository.repo_gpgcheck = source["check_index"]
    repository.priority = source["priority"]
    repository.excludepkgs = source["excluded"]
    repository.skip_if_unavailable = False
    repository._repo.expire()  # what is kept is asked for again; unchanged parts are not fetched
    return repository


def _exclude(base: dnf.Base, names: Sequence[str]) -> None:
    if names:
        base.sack.add_excludes(base.sack.query().filter(name__glob=list(names)))


def _pin(base: dnf.Base, pins: Mapping[str, str], *, wanted: Sequence[str]) -> dict[str, list[str]]:
    """Hides every other version of a pinned package; the wanted names whose pinned version no repository has."""
    lost = {}
    for name, version in pins.items():
        known = base.sack.query().filter(name=name)
        others = [package for package in known if package.evr != version]
        base.sack.add_excludes(others)
        if name in wanted and len(others) == len(known):
            lost[name] = sorted({package.evr for package in others})[:_NEAREST]
    return lost


def _near(base: dnf.Base, words: str) -> list[str]:
    names = {package.name for package in base.sack.query()}
    return get_close_matches(words.split(maxsplit=1)[0], names, n=_NEAREST)


def _package(package: dnf.package.Package) -> dict[str, Any]:
    kind, digest = package.chksum
    return {
        "name": package.name,
        "version": package.evr,
        "architecture": package.arch,
        "digest": f"{_ALGORITHMS.get(kind, 'unknown')}:{digest.hex()}",
        "size_bytes": package.downloadsize,
        "installed_bytes": package.installsize,
        "uri": package.remote_location(),
        "source": package.reponame,
    }


def main() -> None:
    """Answers the one question on standard input."""
    question = json.load(sys.stdin)
    todo = {"resolve": resolve, "fetch": fetch, "fetch-keys": fetch_keys}[question["do"]]
    json.dump(todo(question), sys.stdout)


if __name__ == "__main__":
    main()
