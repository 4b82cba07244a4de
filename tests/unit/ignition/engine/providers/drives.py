"""Config drives as plain folders: mounting copies one, unmounting clears the copy away."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Unpack

from nestos.base.errors import CommandError
from nestos.host.process import Completed, RunOptions
from tests.unit.ignition.engine.bench import Bench, FakeTools


class DriveTools(FakeTools):
    """Mounts folders. ``appearing``: label or path below ``top`` to the moment at which it appears."""

    def __init__(self, machine: Bench) -> None:
        super().__init__(machine.root)
        self.top = machine.folder / "top"
        self.outputs: dict[str, str] = {}
        self.mounted: list[str] = []

    def __call__(self, command: Sequence[str | os.PathLike[str]], /, **options: Unpack[RunOptions]) -> Completed:
        words = [os.fspath(word).replace(str(self.top), "") for word in command]
        self.commands.append(words)
        self.secrets += options.get("secrets", ())
        if words[0] in self.failing:
            raise CommandError(f"exit status 1 from: {words[0]}", returncode=1, output="")
        if words[0] == "mount":
            device, point = (Path(os.fspath(word)) for word in command[-2:])
            shutil.copytree(device.resolve(), point, dirs_exist_ok=True, symlinks=True)
            self.mounted.append(words[-2])
        if words[0] == "umount":
            for path in Path(os.fspath(command[-1])).iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for start, text in self.outputs.items():
            if " ".join(words).startswith(start):
                return Completed(returncode=0, stdout=text, stderr="")
        return Completed(returncode=0, stdout="", stderr="")


def use_drives(machine: Bench) -> DriveTools:
    machine.tools = tools = DriveTools(machine)
    return tools


def attach(machine: Bench, label: str, files: Mapping[str, str | bytes]) -> Path:
    """A drive of this label with these files."""
    device = machine.folder / "drives" / label
    for name, content in files.items():
        path = device / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    device.mkdir(parents=True, exist_ok=True)
    link = machine.folder / "top/dev/disk/by-label" / label
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(device)
    return link
