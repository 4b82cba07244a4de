from __future__ import annotations

import argparse
import hashlib
import io
import json
import time
import urllib.request
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nestos.base.errors import InputError, StateError
from nestos.base.log import Progress
from nestos.cli import compose, up
from nestos.compose import pipeline, tools
from nestos.host.toolbox import Toolbox
from nestos.lab import accelerator, container_image, disks, registry
from nestos.lab.registry import Running
from nestos.lab.ssh import Identity
from tests.unit.compose.test_images import RELEASE
from tests.unit.compose.trees import plant

RUNNING = Running(
    name="nest1",
    pid=1,
    started="now",
    image="/a.raw",
    qmp="/q",
    console="/c",
    serial_log="/log",
    ports={"22": 2222, "8080": 8081},
)


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nestos")
    up.register(parser.add_subparsers())
    return parser.parse_args(["up", *words])


class Shell:
    """SSH of the machine; it answers unless told otherwise."""

    error: Exception | None = None

    def wait(self, *, timeout_seconds: float) -> None:
        if self.error:
            raise self.error


class FakeMachine:
    """A machine that starts at once; ``events`` is what became of it."""

    def __init__(self, spec: Any, *, folder: Path, **given: Any) -> None:
        self.spec, self.folder = spec, folder
        self.serial_log = folder / "serial.log"
        self.console = SimpleNamespace(tail=lambda lines: "Kernel panic")
        self.events: list[str] = []

    def start(self) -> None:
        self.events.append("start")

    def wait_for_console(self, pattern: str, **given: Any) -> None:
        self.events.append(f"wait for {pattern.strip()}")

    def leave(self) -> None:
        self.events.append("leave")

    def close(self) -> None:
        self.events.append("close")

    def shell(self) -> Shell:
        return Shell()


class Lab:
    """What ``up`` stands on; ``did`` is what it asked for."""

    def __init__(self, home: Path) -> None:
        self.home = home / "cache"
        self.did: list[str] = []
        self.running: Running | None = None
        self.machines: list[FakeMachine] = []
        self.tools = plant(home / "tools", {"usr/bin/busybox": "busybox"})
        self.image = home / "a.raw"

    def compose(self, manifest: Path, **given: Any) -> SimpleNamespace:
        self.did.append(f"compose {manifest.name}")
        return SimpleNamespace(release=RELEASE, folder=self.home)

    def create_overlay(self, disk: Path, **given: Any) -> None:
        self.did.append(f"overlay of {given['backing'].name}")
        disk.touch()

    def machine(self, spec: Any, **given: Any) -> FakeMachine:
        self.machines.append(FakeMachine(spec, **given))
        return self.machines[-1]

    def record(self, machine: FakeMachine) -> Running:
        self.running = RUNNING
        return RUNNING

    def stop(self, running: Running, *, folder: Path) -> None:
        self.did.append("stop")
        self.running = None

    def up(self, *words: str) -> int:
        self.did.clear()
        return up.up(parse(*words))


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    lab = Lab(tmp_path)
    monkeypatch.setenv("NESTOS_CACHE", str(lab.home))
    monkeypatch.setattr(up, "identity", lambda folder: Identity(private=folder / "id", public="ssh-ed25519 AAAA lab"))
    monkeypatch.setattr(pipeline, "compose", lab.compose)
    monkeypatch.setattr(compose, "disk_image", lambda made, **given: lab.image)
    monkeypatch.setattr(tools, "ensure", lambda cache, progress: Toolbox(lab.tools))
    monkeypatch.setattr(disks, "create_overlay", lab.create_overlay)
    monkeypatch.setattr(accelerator, "choose", lambda tools, cache: SimpleNamespace(name="tcg"))
    monkeypatch.setattr(up, "Machine", lab.machine)
    monkeypatch.setattr(up, "_serving", lambda workspace: nullcontext())
    monkeypatch.setattr(registry, "load", lambda folder: lab.running)
    monkeypatch.setattr(registry, "record", lab.record)
    monkeypatch.setattr(registry, "stop", lab.stop)
    monkeypatch.setattr(registry, "forget", lambda folder: lab.did.append("forget"))
    monkeypatch.setattr(registry, "find", lambda machines, name: RUNNING)
    answers = lambda address, timeout: nullcontext(io.BytesIO(f"hello from {address}".encode()))  # noqa: E731
    monkeypatch.setattr(urllib.request, "urlopen", answers)
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("it slept"))
    return lab


Capture = pytest.CaptureFixture[str]


def test_a_first_up_composes_makes_a_disk_boots_and_says_how_to_get_in(lab: Lab, capsys: Capture) -> None:
    assert lab.up() == 0
    assert lab.did == ["compose manifest.yaml", "overlay of a.raw"]
    (machine,) = lab.machines
    assert machine.events == ["start", "wait for login:", "leave"]
    printed = capsys.readouterr()
    assert "nest1 is up" in printed.out
    assert "2222" in printed.out
    assert "nestos down" in printed.out
    assert "first boot of 1.2, tcg" in printed.err
    assert "hello from http://127.0.0.1:8081/" in printed.err


def test_a_second_up_while_it_runs_only_says_how_to_get_in(lab: Lab, capsys: Capture) -> None:
    lab.up()
    lab.up()
    assert lab.did == []
    assert "is running already" in capsys.readouterr().err


def test_after_down_the_node_goes_on_from_its_own_disk(lab: Lab, capsys: Capture) -> None:
    lab.up()
    up.down(argparse.Namespace())
    lab.up()
    assert lab.did == ["compose manifest.yaml"]
    assert "boot of 1.2" in capsys.readouterr().err


@pytest.mark.parametrize("change", ["image", "config", "fresh"])
def test_another_image_or_config_or_the_wish_for_it_makes_a_new_disk(lab: Lab, tmp_path: Path, change: str) -> None:
    lab.up()
    lab.running = None
    words = []
    if change == "image":
        lab.image = tmp_path / "b.raw"
    elif change == "config":
        own = plant(tmp_path, {"own.bu": "variant: fcos\nversion: 1.5.0\n"}) / "own.bu"
        words = [f"--butane={own}"]
    else:
        words = ["--fresh"]
    lab.up(*words)
    assert [word for word in lab.did if word.startswith("overlay")]


def test_fresh_ends_the_node_that_runs(lab: Lab) -> None:
    lab.up()
    lab.up("--fresh")
    assert lab.did[0] == "stop"


def test_options_reach_the_machine(lab: Lab, tmp_path: Path) -> None:
    lab.up("--firmware=uefi", "--memory=4096", f"--manifest={tmp_path / 'my.yaml'}")
    spec = lab.machines[0].spec
    assert (spec.firmware, spec.memory_mib) == ("uefi", 4096)
    assert {forward.guest for forward in spec.forwards} == {22, 8080}
    assert lab.did[0] == "compose my.yaml"


def test_the_example_trusts_the_labs_key_and_knows_the_digest_of_what_it_fetches(lab: Lab) -> None:
    lab.up()
    ((name, file),) = lab.machines[0].spec.fw_cfg
    assert name == "opt/com.coreos/config"
    text = file.read_text()
    assert "ssh-ed25519 AAAA lab" in text
    archive = container_image.archive(lab.tools / "usr/bin/busybox")
    assert hashlib.sha256(archive).hexdigest() in text
    assert (lab.home / "files/busybox.tar").read_bytes() == archive
    assert json.loads(text)["ignition"]["version"]


def test_a_config_of_ones_own_is_taken_and_no_container_awaited(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(up, "_hello", lambda running, progress: pytest.fail("there is no example to wait for"))
    own = plant(tmp_path, {"own.bu": "variant: fcos\nversion: 1.5.0\n"}) / "own.bu"
    lab.up(f"--butane={own}")
    assert "ssh-ed25519 AAAA lab" in lab.machines[0].spec.fw_cfg[0][1].read_text()


def test_a_config_that_is_wrong_stops_before_a_disk_is_made(lab: Lab, tmp_path: Path) -> None:
    own = (
        plant(tmp_path, {"own.bu": "variant: fcos\nversion: 1.5.0\nstorage: {files: [{path: not/absolute}]}\n"})
        / "own.bu"
    )
    with pytest.raises(InputError, match="absolute"):
        lab.up(f"--butane={own}")
    assert lab.machines == []
    assert not (lab.home / "machines/nest1/disk.qcow2").exists()


def test_a_node_that_does_not_come_up_is_ended_and_its_last_words_are_shown(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shell, "error", StateError("no SSH in 900 s"))
    with pytest.raises(StateError, match=r"(?s)did not come up: no SSH in 900 s.*Kernel panic") as caught:
        lab.up()
    assert "serial.log" in caught.value.hint
    assert lab.machines[0].events == ["start", "wait for login:", "close"]
    assert lab.did[-1] == "forget"


def test_a_container_that_comes_late_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = [ConnectionRefusedError(), TimeoutError()]
    slept: list[float] = []

    def urlopen(address: str, timeout: float) -> Any:
        if refused:
            raise refused.pop()
        return nullcontext(io.BytesIO(b"hello"))

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    monkeypatch.setattr(time, "sleep", slept.append)
    said = io.StringIO()
    up._hello(RUNNING, progress=Progress(said))
    assert len(slept) == 2
    assert "answers: hello" in said.getvalue()


def test_a_container_that_never_comes_is_an_error_with_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(address: str, timeout: float) -> Any:
        raise ConnectionRefusedError

    slept: list[float] = []
    monkeypatch.setattr(urllib.request, "urlopen", refused)
    monkeypatch.setattr(time, "sleep", slept.append)
    with pytest.raises(StateError, match=r"no container answers on http://127\.0\.0\.1:8081/"):
        up._hello(RUNNING, progress=Progress(io.StringIO()))
    assert sum(slept) == up._HELLO_SECONDS
