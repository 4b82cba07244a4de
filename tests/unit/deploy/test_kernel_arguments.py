from __future__ import annotations

import pytest

from nestos.base.errors import InputError
from nestos.deploy.kernel_arguments import Edit, edited, of_command_line

KNOWN = ("quiet", "console=tty0", "console=ttyS0", "loglevel=4")


@pytest.mark.parametrize(
    ("kind", "text", "after"),
    [
        ("append", "quiet", (*KNOWN, "quiet")),
        ("append-if-missing", "quiet", KNOWN),
        ("append-if-missing", "debug", (*KNOWN, "debug")),
        ("delete", "loglevel", KNOWN[:3]),
        ("delete", "console=tty0", ("quiet", "console=ttyS0", "loglevel=4")),
        ("delete-if-present", "nosmt", KNOWN),
        ("delete-if-present", "quiet", KNOWN[1:]),
        ("replace", "loglevel=7", (*KNOWN[:3], "loglevel=7")),
        ("replace", "console=ttyS0=ttyS1", ("quiet", "console=tty0", "console=ttyS1", "loglevel=4")),
    ],
)
def test_an_edit_changes_what_it_names(kind: str, text: str, after: tuple[str, ...]) -> None:
    assert edited(KNOWN, [Edit(kind=kind, text=text)]) == after


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("delete", "nosmt", 'no kernel argument "nosmt"'),
        ("delete", "console", "stands for several: console=tty0 console=ttyS0"),
        ("replace", "console=ttyS1", "stands more than once"),
        ("replace", "nosmt=force", 'no kernel argument "nosmt" to replace'),
        ("replace", "console=ttyS9=ttyS1", 'no kernel argument "console" to replace'),
    ],
)
def test_an_edit_that_cannot_apply_is_told(kind: str, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        edited(KNOWN, [Edit(kind=kind, text=text)])


def test_edits_apply_in_their_order() -> None:
    assert edited((), [Edit(kind="append", text="a"), Edit(kind="replace", text="a=b")]) == ("a=b",)


def test_what_the_boot_loader_adds_is_of_no_slot() -> None:
    line = "BOOT_IMAGE=/slot-a/vmlinuz root=/dev/mapper/root ro nestos.slot=a systemd.verity_root_hash=ab quiet\n"
    assert of_command_line(line) == ("quiet",)
