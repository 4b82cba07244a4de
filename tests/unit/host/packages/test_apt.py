from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from nestos.base.errors import CommandError, InputError, NetworkError, SpaceError, VerificationError
from nestos.host.packages.apt import AptBackend
from nestos.host.packages.backend import AccountFiles, Package, PackageSource, Request, Resolution
from tests.unit.host.packages import recorded
from tests.unit.host.scripted import Call, Scripted

LESS, DASH = b"the file of less", b"the file of dash"
DIGESTS = {"less": hashlib.sha256(LESS).hexdigest(), "dash": hashlib.sha256(DASH).hexdigest()}
FILES = {f"{DIGESTS['less']}.deb": LESS, f"{DIGESTS['dash']}.deb": DASH}
SOURCES = (
    PackageSource(name="a", uri="http://mirror.example/debian", suite="trixie", components=("main", "contrib")),
    PackageSource(name="b", uri="http://mirror.example/security", suite="trixie-security", components=("main",)),
)
REQUEST = Request(packages=("less", "dash"), architecture="amd64", sources=SOURCES)
RELEASE = "Origin: Debian\nDate: Sat, 22 Nov 2026 10:00:00 UTC\n"


class Apt(Scripted):
    """An archive with two packages; ``files`` is what a download brings."""

    def __init__(self, work: Path) -> None:
        super().__init__()
        self.work = work
        self.files = dict(FILES)
        self.on("update", does=self._update)
        self.on("--print-uris", stdout=recorded.PRINTED_URIS.format(**DIGESTS))
        self.on("show", stdout=recorded.STANZAS.format(**DIGESTS))
        self.on("download-file", does=self._download)

    def _update(self, call: Call) -> None:
        lists = self.work / "var/lib/apt/lists"
        (lists / "mirror_debian_dists_trixie_InRelease").write_text(RELEASE)
        (lists / "mirror_security_dists_trixie_Release").write_text(RELEASE.replace("22 Nov", "20 Nov"))

    def _download(self, call: Call) -> None:
        assert call.cwd is not None
        for name, data in self.files.items():
            if name in call.line or name.endswith(".FAILED"):
                (call.cwd / name).write_bytes(data)


@pytest.fixture
def apt(tmp_path: Path) -> Apt:
    return Apt(tmp_path / "apt")


@pytest.fixture
def backend(tmp_path: Path, apt: Apt) -> AptBackend:
    (tmp_path / "pool").mkdir()
    return AptBackend(runner=apt, work=tmp_path / "apt", pool=tmp_path / "pool")


@pytest.fixture
def resolution(backend: AptBackend) -> Resolution:
    return backend.resolve(REQUEST)


def settings(work: Path) -> dict[str, str]:
    return dict(re.findall(r'^(\S+) "(.*)";$', (work / "etc/apt.conf").read_text(), flags=re.MULTILINE))


def pooled(tmp_path: Path) -> set[bytes]:
    return {path.read_bytes() for path in (tmp_path / "pool").glob("*.deb")}


def test_a_resolution_holds_every_package_with_its_digest_sorted_by_name(resolution: Resolution) -> None:
    dash, less = resolution.packages
    assert (dash.name, dash.version, dash.architecture) == ("dash", "1:0.5", "all")
    assert less == Package(
        name="less",
        version="668-1",
        architecture="amd64",
        digest=f"sha256:{DIGESTS['less']}",
        size_bytes=161148,
        uri="http://mirror.example/pool/main/l/less/less_668-1_amd64.deb",
    )
    assert (less.installed_bytes, dash.installed_bytes) == (325 * 1024, 0)
    assert resolution.download_bytes == 161248
    assert resolution.installed_bytes == 325 * 1024 + 400


def test_its_time_is_the_newest_date_of_the_release_files(resolution: Resolution) -> None:
    assert resolution.timestamp == int(datetime(2026, 11, 22, 10, tzinfo=UTC).timestamp())


def test_release_files_without_a_date_are_an_error(backend: AptBackend, apt: Apt) -> None:
    apt.on("update")
    with pytest.raises(InputError, match="has a date"):
        backend.resolve(REQUEST)


def test_the_hosts_own_packages_and_sources_do_not_matter(resolution: Resolution, apt: Apt) -> None:
    found = settings(apt.work)
    assert found["Dir::State::status"] == f"{apt.work}/var/lib/dpkg/status"
    assert (apt.work / "var/lib/dpkg/status").read_text() == ""
    assert (
        found["Dir::Etc::sourceparts"] == found["Dir::Etc::parts"] == found["Dir::Etc::preferencesparts"] == "/dev/null"
    )
    assert found["APT::Architectures"] == "amd64"
    assert (apt.work / "etc/sources.list").read_text().splitlines() == [
        "deb http://mirror.example/debian trixie main contrib",
        "deb http://mirror.example/security trixie-security main",
    ]
    assert {call.environment["APT_CONFIG"] for call in apt.calls} == {f"{apt.work}/etc/apt.conf"}


def test_essential_packages_are_always_in(resolution: Resolution, apt: Apt) -> None:
    assert apt.called("--print-uris").line[-3:] == ["?essential", "less", "dash"]


@pytest.mark.parametrize(("recommends", "word"), [(True, "true"), (False, "false")])
def test_recommends_are_as_the_manifest_says(backend: AptBackend, apt: Apt, recommends: bool, word: str) -> None:
    backend.resolve(replace(REQUEST, recommends=recommends))
    assert settings(apt.work)["APT::Install-Recommends"] == word


def test_a_lock_pins_and_an_exclusion_bars(backend: AptBackend, apt: Apt) -> None:
    backend.resolve(replace(REQUEST, pins={"less": "600-1", "nano": "8"}, excluded=("nano",)))
    assert (apt.work / "etc/preferences").read_text().split("\n\n") == [
        "Package: less\nPin: version 600-1\nPin-Priority: 1001",
        "Package: nano\nPin: version *\nPin-Priority: -1\n",
    ]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_missing_packages_are_an_input_error_wherever_apt_names_them(
    backend: AptBackend, apt: Apt, stream: str
) -> None:
    apt.on("--print-uris", returncode=100, **{stream: recorded.MISSING})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="mail-transport-agent, nosuch1, nosuch2"):
        backend.resolve(REQUEST)


def test_a_needed_exclusion_is_explained_from_both_streams(backend: AptBackend, apt: Apt) -> None:
    apt.on("--print-uris", returncode=100, stdout=recorded.EXCLUDED_NEEDED, stderr="E: Unable to correct problems")
    with pytest.raises(InputError, match="excluded packages are needed by others: libjq1"):
        backend.resolve(replace(REQUEST, excluded=("libjq1",)))


def test_a_mirror_that_cannot_be_reached_is_named(backend: AptBackend, apt: Apt) -> None:
    apt.on("update", returncode=100, stderr=recorded.NO_HOST)
    with pytest.raises(NetworkError, match=r"no\.such\.host\.invalid"):
        backend.resolve(REQUEST)


def test_a_download_goes_into_the_pool_by_digest(
    backend: AptBackend, apt: Apt, resolution: Resolution, tmp_path: Path
) -> None:
    assert backend.fetch(resolution) == tmp_path / "pool"
    assert {path.stem: path.read_bytes() for path in (tmp_path / "pool").iterdir()} == {
        DIGESTS["less"]: LESS,
        DIGESTS["dash"]: DASH,
    }
    call = apt.called("download-file")
    less = f"{DIGESTS['less']}.deb"
    at = call.line.index(less)
    uri = "http://mirror.example/pool/main/l/less/less_668-1_amd64.deb"
    assert call.line[at - 1 : at + 2] == [uri, less, f"SHA256:{DIGESTS['less']}"]
    assert call.cwd == apt.work / "download"
    assert not list((apt.work / "download").iterdir())


def test_apt_knows_no_package_file_when_it_resolves(backend: AptBackend, apt: Apt) -> None:
    # What lies in its archive folder, --print-uris leaves out.
    archives = apt.work / "var/cache/apt/archives"
    archives.mkdir(parents=True)
    (archives / "less_668-1_amd64.deb").touch()
    backend.resolve(REQUEST)
    assert not list(archives.glob("*.deb"))


def test_only_what_the_pool_lacks_is_fetched(
    backend: AptBackend, apt: Apt, resolution: Resolution, tmp_path: Path
) -> None:
    (tmp_path / "pool" / f"{DIGESTS['less']}.deb").write_bytes(LESS)
    backend.fetch(resolution)
    assert [word for word in apt.called("download-file").line if word.endswith(".deb")] == [
        "http://mirror.example/pool/main/d/dash/dash_1%3a0.5_all.deb",
        f"{DIGESTS['dash']}.deb",
    ]
    apt.calls.clear()
    backend.fetch(resolution)
    assert apt.calls == []


def test_a_damaged_file_of_the_pool_is_fetched_again(
    backend: AptBackend, apt: Apt, resolution: Resolution, tmp_path: Path
) -> None:
    backend.fetch(resolution)
    (tmp_path / "pool" / f"{DIGESTS['less']}.deb").write_bytes(LESS[:5])
    backend.fetch(resolution)
    assert pooled(tmp_path) == {LESS, DASH}


def test_after_a_failure_whole_files_are_kept_and_half_a_file_stays_to_go_on_from(
    backend: AptBackend, apt: Apt, resolution: Resolution, tmp_path: Path
) -> None:
    apt.files |= {f"{DIGESTS['less']}.deb": LESS[:7], "other.deb.FAILED": b"garbage"}
    apt.on("download-file", returncode=100, stderr=recorded.DEB_BROKEN_OFF, does=apt._download)
    with pytest.raises(NetworkError, match=r"libjq1_1\.7\.1_amd64\.deb"):
        backend.fetch(resolution)
    assert pooled(tmp_path) == {DASH}
    assert [path.name for path in (apt.work / "download").iterdir()] == [f"{DIGESTS['less']}.deb"]


def test_other_content_than_the_index_says_is_not_taken_in(
    backend: AptBackend, apt: Apt, resolution: Resolution, tmp_path: Path
) -> None:
    apt.files[f"{DIGESTS['less']}.deb"] = b"something else"
    with pytest.raises(VerificationError, match="other content than its index says for: less 668-1"):
        backend.fetch(resolution)
    assert pooled(tmp_path) == {DASH}
    assert not list((apt.work / "download").iterdir())


def test_room_is_asked_for_before_anything_is_fetched(
    backend: AptBackend, apt: Apt, resolution: Resolution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    apt.calls.clear()
    with pytest.raises(SpaceError, match="2 package files"):
        backend.fetch(resolution)
    assert apt.calls == []


def test_exactly_the_resolved_files_are_installed_without_network(
    backend: AptBackend, apt: Apt, resolution: Resolution, tmp_path: Path
) -> None:
    backend.fetch(resolution)
    backend.install(resolution, target=tmp_path / "root", accounts=AccountFiles())
    repository = apt.work / "repository"
    index = (repository / "Packages").read_text()
    names = re.findall(r"^Filename: \./(.*)$", index, flags=re.MULTILINE)
    assert {name: (repository / name).read_bytes() for name in names} == {
        f"dash_{DIGESTS['dash'][:16]}.deb": DASH,
        f"less_{DIGESTS['less'][:16]}.deb": LESS,
    }
    assert re.findall(r"^Package: (.*)$", index, flags=re.MULTILINE) == ["dash", "less"]
    call = apt.called("mmdebstrap")
    assert call.line[-2:] == [str(tmp_path / "root"), f"deb [trusted=yes] copy://{repository} ./"]
    assert "--include=dash,less" in call.line
    assert call.environment["SOURCE_DATE_EPOCH"] == str(resolution.timestamp)


def test_files_of_an_earlier_resolution_leave_the_repository(
    backend: AptBackend, apt: Apt, resolution: Resolution, tmp_path: Path
) -> None:
    backend.fetch(resolution)
    backend.install(resolution, target=tmp_path / "a", accounts=AccountFiles())
    only = Resolution(packages=resolution.packages[1:], timestamp=0)
    backend.install(only, target=tmp_path / "b", accounts=AccountFiles())
    assert len(list((apt.work / "repository").glob("*.deb"))) == 1


def test_a_maintainer_script_that_fails_is_heard(backend: AptBackend, apt: Apt, resolution: Resolution) -> None:
    backend.fetch(resolution)
    noise = "\n".join(f"Unpacking {number}" for number in range(300))
    apt.on("mmdebstrap", returncode=25, stderr=f"{noise}\ndpkg: error processing package dash")
    with pytest.raises(CommandError) as caught:
        backend.install(resolution, target=Path("/root"), accounts=AccountFiles())
    assert "dpkg: error processing package dash" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 21


def test_system_accounts_are_made_before_packages_are_configured(
    backend: AptBackend, apt: Apt, resolution: Resolution, tmp_path: Path
) -> None:
    backend.fetch(resolution)
    accounts = AccountFiles(users={"sshd": (989, 65534, "", "/run/sshd", "/usr/sbin/nologin")}, groups={"docker": 102})
    backend.install(resolution, target=tmp_path / "root", accounts=accounts)
    hook = apt.work / "accounts-hook"
    assert f'--essential-hook={hook} "$1"' in apt.called("mmdebstrap").line
    assert hook.stat().st_mode & 0o111
    text = hook.read_text()
    assert '"sshd:x:989:65534::/run/sshd:/usr/sbin/nologin" >>"$etc/passwd"' in text
    assert '"docker:x:102:" >>"$etc/group"' in text
    assert 'echo "sshd:!*:::::::" >>"$etc/shadow"' in text
    assert 'echo "docker:!::" >>"$etc/gshadow"' in text


@pytest.mark.parametrize("place", ["usr/lib/sysimage/dpkg", "var/lib/dpkg"])
def test_installed_packages_are_read_from_the_trees_own_database(
    backend: AptBackend, apt: Apt, tmp_path: Path, place: str
) -> None:
    database = tmp_path / "tree" / place
    database.mkdir(parents=True)
    (database / "status").touch()
    apt.on("dpkg-query", stdout="dash\t1:0.5\nless\t668-1\n")
    assert backend.installed(tmp_path / "tree") == {"dash": "1:0.5", "less": "668-1"}
    assert f"--admindir={database}" in apt.called("dpkg-query").line


def test_a_tree_without_a_database_is_refused(backend: AptBackend, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no dpkg database"):
        backend.installed(tmp_path)


def test_the_files_of_a_package_are_read_from_dpkgs_lists(backend: AptBackend, tmp_path: Path) -> None:
    info = tmp_path / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (info / "less.list").write_text("/.\n/usr/bin/less\n")
    (info / "libc6:amd64.list").write_text("/usr/lib/libc.so.6\n")
    assert backend.files(tmp_path, "less") == ["/.", "/usr/bin/less"]
    assert backend.files(tmp_path, "libc6") == ["/usr/lib/libc.so.6"]
    with pytest.raises(InputError, match="'nano' is not in the tree"):
        backend.files(tmp_path, "nano")
