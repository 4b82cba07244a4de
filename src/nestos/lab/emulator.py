"""What runs machines of an architecture here: the tools tree that QEMU is in, and how the guest's code is run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nestos.base.log import Progress
from nestos.compose import foreign, tools
from nestos.compose.workspace import Workspace
from nestos.host.toolbox import Toolbox
from nestos.lab import accelerator
from nestos.lab.spec import Accelerator


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """QEMU for one architecture."""

    architecture: str
    tools: Toolbox
    accelerator: Accelerator

    @property
    def busybox(self) -> Path:
        """A busybox of that architecture without libraries, for container images."""
        return self.tools.root / (tools.FOREIGN_BUSYBOX if foreign.is_foreign(self.architecture) else tools.BUSYBOX)


def find(architecture: str, *, workspace: Workspace, progress: Progress) -> Emulator:
    """QEMU for machines of ``architecture``, composed if it is missing. Raises ``InputError`` where there is none."""
    if foreign.is_foreign(architecture):
        box = foreign.toolbox(architecture, home=workspace.home, progress=progress)
        return Emulator(architecture=architecture, tools=box, accelerator=accelerator.foreign())
    box = tools.ensure(workspace.home, progress=progress)
    chosen = accelerator.choose(tools=box, cache=workspace.folder("lab") / "accelerator.json")
    return Emulator(architecture=architecture, tools=box, accelerator=chosen)
