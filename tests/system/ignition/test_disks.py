"""Cases as data: disk in, config, disk out; the engine's stages run on loop devices.

A case: ``disks`` (each with ``mib``, ``sector_bytes``, options for sgdisk, commands that make ``contents`` by partition
number, 0 is the disk itself, and ``grown`` to a size), the ``storage`` of a config in which ``$0`` is the first disk,
and ``after``: per disk what ``described`` finds. With an ``error``, a part of it must be logged and every disk must be,
byte for byte, what it was. ``mounted``: what is mounted between the stages mount and umount. ``needs``: programs
without which the case is left out.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from nestos.host.process import run as run_program
from nestos.ignition.engine.machine import Machine
from nestos.ignition.engine.program import run
from tests.system.ignition.loops import described, grow, loop, missing, partition

if missing():
    pytest.skip(f"cases on disks are left out: {missing()}", allow_module_level=True)

CASES = json.loads(Path(__file__).with_name("cases.json").read_text())


class Bench:
    """The disks of a case, and the engine."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.root = folder / "root"
        self.root.mkdir()
        self.top = folder / "top"
        self.top.mkdir()
        for name in ("dev", "proc", "sys"):
            (self.top / name).symlink_to(f"/{name}")
        self.disks: list[Path] = []
        self.output = io.StringIO()

    def add(self, disk: dict[str, Any]) -> None:
        image = self.folder / f"disk{len(self.disks)}"
        device = self.stack.enter_context(loop(image, mib=disk["mib"], sector_bytes=disk.get("sector_bytes", 512)))
        if disk.get("sgdisk"):
            partition(device, disk["sgdisk"])
        for number, command in disk.get("contents", {}).items():
            target = device if number == "0" else device.with_name(f"{device.name}p{number}")
            run_program([*command, target])
        if disk.get("grown"):
            grow(device, image, mib=disk["grown"])
        self.disks.append(device)

    def digests(self) -> list[str]:
        return [
            hashlib.sha256(self.folder.joinpath(f"disk{i}").read_bytes()).hexdigest() for i in range(len(self.disks))
        ]

    def stage(self, name: str) -> int:
        machine = Machine(top=self.top, config_folders=(self.folder / "configs",))
        arguments = [f"--stage={name}", "--platform=file", f"--root={self.root}", f"--neednet={self.folder}/neednet"]
        arguments += [f"--config-cache={self.folder}/config.json", f"--state-file={self.folder}/state"]
        return run(arguments, machine=machine, stdout=self.output, stderr=self.output)

    def configure(self, storage: Any) -> None:
        text = json.dumps({"ignition": {"version": "3.6.0"}, "storage": storage})
        for index, device in enumerate(self.disks):
            text = text.replace(f"${index}", str(device))
        configs = self.folder / "configs"
        configs.mkdir()
        (configs / "user.ign").write_text(text)
        assert self.stage("fetch-offline") == 0, self.output.getvalue()


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_disks_are_as_the_config_says(case: dict[str, Any], tmp_path: Path) -> None:
    absent = [name for name in case.get("needs", []) if shutil.which(name) is None]
    if absent:
        pytest.skip(f"programs are missing: {', '.join(absent)}")
    with ExitStack() as stack:
        bench = Bench(tmp_path, stack)
        for disk in case["disks"]:
            bench.add(disk)
        bench.configure(case["storage"])
        before = bench.digests()

        code = bench.stage("disks")

        said = bench.output.getvalue()
        if "error" in case:
            assert code == 1, said
            assert case["error"] in said
            assert bench.digests() == before
            return
        assert code == 0, said
        assert [described(device) for device in bench.disks] == case["after"], said
        if case.get("again", True):
            settled = bench.digests()
            assert bench.stage("disks") == 0, bench.output.getvalue()
            assert bench.digests() == settled, "a second run changed something"
        if "mounted" in case:
            check_mounts(bench, case["mounted"])


def check_mounts(bench: Bench, expected: dict[str, str]) -> None:
    assert bench.stage("mount") == 0, bench.output.getvalue()
    lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    prefix = str(bench.root)
    found = {words[1].removeprefix(prefix): words[2] for words in lines if words[1].startswith(f"{prefix}/")}
    assert bench.stage("umount") == 0, bench.output.getvalue()
    assert found == expected
    assert prefix not in Path("/proc/self/mounts").read_text()
