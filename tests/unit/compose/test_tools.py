from __future__ import annotations

import io
import os
import platform
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from nestos.base.errors import CommandError, InputError, NetworkError, SpaceError, StateError
from nestos.base.log import Progress
from nestos.compose import tools
from nestos.host import process
from nestos.host.packages import sources
from nestos.host.packages.backend import PackageSource
from tests.unit.host.packages import recorded
from tests.unit.host.scripted import Call, Scripted

SOURCE = PackageSource(name="trixie", uri="http://mirror.example/debian", suite="trixie", components=("main",))


class Host(Scripted):
    """A host as root on x86_64 with room; mmdebstrap leaves a tree."""

    def __init__(self) -> None:
        super().__init__()
        self.user = 0
        self.machine = "x86_64"
        self.on("unshare", does=self.make)

    def make(self, call: Call) -> None:
        (target,) = (Path(word) for word in call.line if word.endswith("root.part"))
        (target / "usr").mkdir(parents=True)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host()
    monkeypatch.setattr(process, "run", host)
    monkeypatch.setattr(sources, "debian", lambda release: [SOURCE])
    monkeypatch.setattr(platform, "machine", lambda: host.machine)
    monkeypatch.setattr(os, "geteuid", lambda: host.user)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10 << 30))
    return host


def ensure(cache: Path) -> Path:
    return tools.ensure(cache, progress=Progress(io.StringIO())).root


def left(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.glob("tools/*/*") if path.name != "lock")


def test_the_tree_for_another_architecture_is_one_of_its_own(tmp_path: Path, host: Host) -> None:
    root = tools.ensure(tmp_path, progress=Progress(io.StringIO()), kind=tools.Kind.AARCH64).root
    assert root != ensure(tmp_path)
    line = host.calls[0].line
    assert "--architectures=amd64,arm64" in line
    assert "--include=qemu-efi-aarch64,qemu-system-arm,qemu-user,qemu-utils" in line
    assert "--architectures=amd64" in host.calls[1].line


def test_the_tree_is_made_once_and_found_by_its_digest(tmp_path: Path, host: Host) -> None:
    root = ensure(tmp_path)
    assert root == tmp_path / "tools" / tools.digest("x86_64", [SOURCE]) / "root"
    assert root.is_dir()
    assert ensure(tmp_path) == root
    assert len(host.calls) == 1
    assert left(tmp_path) == ["root"]


def test_it_is_made_of_the_hosts_sources_for_the_hosts_machine(tmp_path: Path, host: Host) -> None:
    host.machine = "aarch64"
    ensure(tmp_path)
    line = host.called("unshare").line
    assert "--architectures=arm64" in line
    assert line[-1] == "deb http://mirror.example/debian trixie main"
    (names,) = (word for word in line if word.startswith("--include="))
    assert {"ostree", "erofs-utils", "grub-efi-arm64-bin"} <= set(names.partition("=")[2].split(","))


def test_the_digest_tells_machine_suite_and_packages_but_no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    first = tools.digest("x86_64", [SOURCE])
    other = PackageSource(name="x", uri="http://other.example/", suite="trixie", components=("main",))
    assert tools.digest("x86_64", [other]) == first
    assert tools.digest("aarch64", [SOURCE]) != first
    monkeypatch.setattr(tools, "RELEASE", "forky")
    assert tools.digest("x86_64", [SOURCE]) != first


def test_what_is_mounted_meanwhile_is_never_seen_by_who_removes_a_killed_attempt(tmp_path: Path, host: Host) -> None:
    ensure(tmp_path)
    line = host.called("unshare").line
    assert line[: line.index("mmdebstrap")] == ["unshare", "--mount", "--propagation=private"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_attempt_leaves_no_tree(tmp_path: Path, host: Host, error: type[BaseException]) -> None:
    def interrupted(call: Call) -> None:
        host.make(call)
        raise error

    host.on("unshare", does=interrupted)
    with pytest.raises(error):
        ensure(tmp_path)
    assert left(tmp_path) == []
    host.on("unshare", does=host.make)
    assert ensure(tmp_path).is_dir()


def test_what_a_killed_attempt_left_is_not_built_upon(tmp_path: Path, host: Host) -> None:
    part = tmp_path / "tools" / tools.digest("x86_64", [SOURCE]) / "root.part"
    part.mkdir(parents=True)
    (part / "old").touch()
    assert not (ensure(tmp_path) / "old").exists()


def test_a_mirror_that_cannot_be_reached_is_named(tmp_path: Path, host: Host) -> None:
    host.on("unshare", returncode=25, stderr=recorded.NO_HOST)
    with pytest.raises(NetworkError, match=r"no\.such\.host\.invalid"):
        ensure(tmp_path)


def test_other_failures_keep_their_words(tmp_path: Path, host: Host) -> None:
    host.on("unshare", returncode=25, stderr="E: something else")
    with pytest.raises(CommandError) as caught:
        ensure(tmp_path)
    assert caught.value.output == "E: something else"


def test_only_root_makes_one_and_anyone_uses_it(tmp_path: Path, host: Host) -> None:
    host.user = 1000
    with pytest.raises(StateError, match="by root only"):
        ensure(tmp_path)
    host.user = 0
    root = ensure(tmp_path)
    host.user = 1000
    assert ensure(tmp_path) == root


def test_room_is_asked_for_first(tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=100 << 20))
    with pytest.raises(SpaceError, match=f"the tools tree: about 800 MiB are needed in {tmp_path}"):
        ensure(tmp_path)
    assert host.calls == []


def test_a_machine_without_tools_is_named(tmp_path: Path, host: Host) -> None:
    host.machine = "riscv64"
    with pytest.raises(InputError, match="type riscv64 cannot compose; these can: x86_64, aarch64"):
        ensure(tmp_path)


def test_only_programs_that_shape_the_image_are_pinned(tmp_path: Path) -> None:
    status = "Package: erofs-utils\nStatus: install ok installed\nVersion: 1.8.6-1\n\nPackage: fdisk\nVersion: 2.41\n\n"
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(status)
    assert tools.shaping(tmp_path) == {"erofs-utils": "1.8.6-1"}
