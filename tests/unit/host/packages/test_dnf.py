from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Unpack

import pytest

from nestos.base.errors import CommandError, InputError, NetworkError, SpaceError, VerificationError
from nestos.host.packages.backend import Package, Request, Resolution, RpmSource
from nestos.host.packages.dnf import DnfBackend
from nestos.host.process import Completed, RunOptions
from tests.unit.host.scripted import Scripted

FILES = {"bash": b"the file of bash", "dash": b"the file of dash"}
DIGESTS = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\nx\n"
SOURCE = RpmSource(name="os", addresses=("https://mirror.example/os/",), keys=(KEY,), priority=10, excluded=("k*",))
REQUEST = Request(packages=("bash", "dash"), architecture="x86_64", sources=(SOURCE,))


def entry(name: str, **changes: object) -> dict[str, object]:
    return {
        "name": name,
        "version": "1:5.2-1",
        "architecture": "x86_64",
        "digest": f"sha256:{DIGESTS[name]}",
        "size_bytes": len(FILES[name]),
        "installed_bytes": 7000,
        "uri": f"https://mirror.example/os/{name}.rpm",
        "source": "os",
        **changes,
    }


class Tools(Scripted):
    """The program inside the tools tree, and rpmkeys; ``questions`` is what the program was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.questions: list[dict[str, Any]] = []
        self.answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "resolve": lambda question: {"packages": [entry("bash"), entry("dash")], "timestamp": 1795341600},
            "fetch": self.download,
            "fetch-keys": self.download_keys,
        }
        self.files = dict(FILES)
        self.key = KEY

    def download(self, question: dict[str, Any]) -> dict[str, Any]:
        for file in question["files"]:
            for name, digest in DIGESTS.items():
                if digest == file["sha256"] and name in self.files:
                    Path(file["place"]).write_bytes(self.files[name])
        return {}

    def download_keys(self, question: dict[str, Any]) -> dict[str, Any]:
        Path(question["files"][0]["place"]).write_text(self.key)
        return {}

    def __call__(self, command: Any, /, **options: Unpack[RunOptions]) -> Completed:
        done = super().__call__(command, **options)
        if command[0] == "python3":
            question = json.loads(str(options["stdin"]))
            self.questions.append(question)
            return replace(done, stdout=json.dumps(self.answers[question["do"]](question)))
        return done


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.fixture
def backend(tmp_path: Path, tools: Tools) -> DnfBackend:
    (tmp_path / "pool").mkdir()
    return DnfBackend(runner=tools, work=tmp_path / "dnf", pool=tmp_path / "pool")


@pytest.fixture
def resolution(backend: DnfBackend) -> Resolution:
    return backend.resolve(REQUEST)


def pooled(tmp_path: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in (tmp_path / "pool").glob("*.rpm")}


def test_a_resolution_is_what_the_solver_answers(resolution: Resolution) -> None:
    bash, dash = resolution.packages
    assert (bash.name, dash.name, resolution.timestamp) == ("bash", "dash", 1795341600)
    assert bash == Package(
        name="bash",
        version="1:5.2-1",
        architecture="x86_64",
        digest=f"sha256:{DIGESTS['bash']}",
        size_bytes=16,
        uri="https://mirror.example/os/bash.rpm",
        trust=hashlib.sha256(KEY.encode()).hexdigest(),
    )
    assert bash.installed_bytes == 7000


def test_the_solver_is_told_everything_of_the_request(backend: DnfBackend, tools: Tools, tmp_path: Path) -> None:
    backend.resolve(replace(REQUEST, excluded=("nano",), pins={"bash": "5"}, recommends=True))
    (question,) = tools.questions
    keys = f"{tmp_path}/pool/{hashlib.sha256(KEY.encode()).hexdigest()}.keys"
    assert question["sources"] == [
        {
            "name": "os",
            "addresses": ["https://mirror.example/os/"],
            "metalink": "",
            "keys": [f"file://{keys}"],
            "check_index": False,
            "priority": 10,
            "excluded": ["k*"],
        }
    ]
    assert Path(keys).read_text() == KEY
    assert (question["packages"], question["excluded"], question["pins"]) == (["bash", "dash"], ["nano"], {"bash": "5"})
    assert (question["architecture"], question["recommends"]) == ("x86_64", True)


def test_every_missing_name_is_told_with_names_that_are_near(backend: DnfBackend, tools: Tools) -> None:
    tools.answers["resolve"] = lambda question: {"missing": {"bsah": ["bash"], "nosuch": []}}
    with pytest.raises(InputError) as caught:
        backend.resolve(REQUEST)
    assert str(caught.value).splitlines() == [
        "not in the repositories (os, x86_64):",
        "  bsah (there is: bash)",
        "  nosuch",
    ]


def test_a_repository_that_cannot_be_read_is_a_network_error(backend: DnfBackend, tools: Tools) -> None:
    tools.answers["resolve"] = lambda question: {"unfetched": ["Failed to download metadata for repo 'os': 503"]}
    with pytest.raises(NetworkError, match="repo 'os': 503"):
        backend.resolve(REQUEST)


def test_a_digest_of_another_kind_is_refused(backend: DnfBackend, tools: Tools) -> None:
    tools.answers["resolve"] = lambda question: {"packages": [entry("bash", digest="sha512:00")], "timestamp": 1}
    with pytest.raises(VerificationError, match="names no sha256 of bash"):
        backend.resolve(REQUEST)


def test_a_repository_without_a_key_needs_a_word_for_it(backend: DnfBackend) -> None:
    keyless = replace(SOURCE, keys=())
    with pytest.raises(InputError, match="os has no key"):
        backend.resolve(replace(REQUEST, sources=(keyless,)))
    unchecked = backend.resolve(replace(REQUEST, sources=(replace(keyless, check_packages=False),)))
    assert {package.trust for package in unchecked.packages} == {""}


def test_a_key_is_fetched_from_its_address_and_must_be_one(backend: DnfBackend, tools: Tools) -> None:
    elsewhere = replace(REQUEST, sources=(replace(SOURCE, keys=("https://mirror.example/key",)),))
    assert {package.trust for package in backend.resolve(elsewhere).packages} == {
        hashlib.sha256(KEY.encode()).hexdigest()
    }
    tools.key = "<html>not found</html>"
    with pytest.raises(VerificationError, match="is not an OpenPGP key"):
        backend.resolve(elsewhere)


def test_a_program_that_ends_without_an_answer_is_our_error_or_a_full_disk(backend: DnfBackend, tools: Tools) -> None:
    tools.on("python3", returncode=1, stderr="Traceback\nKeyError: 'x'")
    with pytest.raises(CommandError):
        backend.resolve(REQUEST)
    tools.on("python3", returncode=1, stderr="Traceback\nOSError: [Errno 28] No space left on device")
    with pytest.raises(SpaceError, match="No space left"):
        backend.resolve(REQUEST)


def test_only_what_the_pool_lacks_is_fetched_and_a_damaged_file_again(
    backend: DnfBackend, tools: Tools, resolution: Resolution, tmp_path: Path
) -> None:
    (tmp_path / "pool" / f"{DIGESTS['bash']}.rpm").write_bytes(FILES["bash"])
    (tmp_path / "pool" / f"{DIGESTS['dash']}.rpm").write_bytes(FILES["dash"][:5])
    tools.questions.clear()
    backend.fetch(resolution)
    (question,) = tools.questions
    assert question["files"] == [
        {
            "address": "https://mirror.example/os/dash.rpm",
            "sha256": DIGESTS["dash"],
            "size": 16,
            "place": f"{tmp_path}/dnf/download/{DIGESTS['dash']}.rpm",
        }
    ]
    assert pooled(tmp_path) == {DIGESTS[name]: data for name, data in FILES.items()}


def test_whole_files_are_kept_after_a_failure_and_half_a_file_stays_to_go_on_from(
    backend: DnfBackend, tools: Tools, resolution: Resolution, tmp_path: Path
) -> None:
    tools.files["bash"] = FILES["bash"][:4]
    fetch = tools.answers["fetch"]
    tools.answers["fetch"] = lambda question: fetch(question) | {"unfetched": ["bash.rpm: Connection reset"]}
    with pytest.raises(NetworkError, match="Connection reset"):
        backend.fetch(resolution)
    assert pooled(tmp_path) == {DIGESTS["dash"]: FILES["dash"]}
    assert [path.read_bytes() for path in (tmp_path / "dnf/download").iterdir()] == [FILES["bash"][:4]]


def test_other_content_than_the_index_says_is_not_taken_in(
    backend: DnfBackend, tools: Tools, resolution: Resolution, tmp_path: Path
) -> None:
    tools.files["bash"] = b"something else and longer"
    with pytest.raises(VerificationError, match=r"other content than its index says for: bash 1:5\.2-1"):
        backend.fetch(resolution)
    assert not list((tmp_path / "dnf/download").iterdir())


def test_room_is_asked_for_before_anything_is_fetched(
    backend: DnfBackend, tools: Tools, resolution: Resolution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1))
    tools.questions.clear()
    with pytest.raises(SpaceError, match="2 package files"):
        backend.fetch(resolution)
    assert tools.questions == []


def test_signatures_are_checked_against_the_keys_of_the_repository(
    backend: DnfBackend, tools: Tools, resolution: Resolution, tmp_path: Path
) -> None:
    backend.fetch(resolution)
    trust = hashlib.sha256(KEY.encode()).hexdigest()
    keyring = tmp_path / "dnf/keyrings" / trust
    assert tools.called("--import").line == [
        "rpmkeys",
        f"--dbpath={keyring}",
        "--import",
        f"{tmp_path}/pool/{trust}.keys",
    ]
    assert f"--dbpath={keyring}" in tools.called("--checksig").line
    assert "--define=_pkgverify_level all" in tools.called("--checksig").line


def test_packages_without_a_good_signature_are_named(
    backend: DnfBackend, tools: Tools, resolution: Resolution, tmp_path: Path
) -> None:
    bash, dash = (f"{tmp_path}/pool/{DIGESTS[name]}.rpm" for name in ("bash", "dash"))
    said = f"{bash}: digests SIGNATURES NOT OK\n{dash}: digests signatures OK\n"
    tools.on("--checksig", returncode=1, stdout=said)
    with pytest.raises(VerificationError) as caught:
        backend.fetch(resolution)
    assert "bash 1:5.2-1: digests SIGNATURES NOT OK" in str(caught.value)
    assert "dash" not in str(caught.value)


def test_nothing_is_checked_where_the_manifest_says_so(backend: DnfBackend, tools: Tools) -> None:
    unchecked = replace(REQUEST, sources=(replace(SOURCE, check_packages=False),))
    backend.fetch(backend.resolve(unchecked))
    assert not [line for line in tools.lines if line[0] == "rpmkeys"]


def test_a_key_in_the_database_is_no_package(backend: DnfBackend, tools: Tools, tmp_path: Path) -> None:
    database = tmp_path / "tree/usr/lib/sysimage/rpm"
    database.mkdir(parents=True)
    (database / "rpmdb.sqlite").touch()
    tools.on("--all", stdout="gpg-pubkey\t1-2\ndash\t0.5-1\nbash\t1:5.2-1\n")
    assert backend.installed(tmp_path / "tree") == {"bash": "1:5.2-1", "dash": "0.5-1"}
    with pytest.raises(InputError, match="holds no rpm database"):
        backend.installed(tmp_path)
