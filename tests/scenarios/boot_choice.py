"""The boot loader's choice, with the real GRUB and a kernel that only tells its command line."""

from __future__ import annotations

from nestos.base.log import Progress
from nestos.lab.scenario import Lab, scenario
from tests.scenarios import grub_choice


@scenario("grub-choice", minutes=4)
def grub_chooses_as_the_table_says(lab: Lab) -> None:
    """GRUB's choice equals the table of states, over every state, on BIOS and UEFI, with damaged files too."""
    with (lab.folder / "grub.log").open("w", encoding="utf-8") as log:
        failures = grub_choice.run(lab.equipment.tools, lab.folder, progress=Progress(log))
    lab.check(not failures, "\n".join(failures))
