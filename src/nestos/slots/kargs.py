"""Kernel arguments of a slot: which change, and writing them where GRUB reads them.

What an argument is, the kernel says (admin-guide/kernel-parameters): words between blanks, where double quotes keep
blanks in a word. Words that ``grub.cfg`` itself adds are of no slot, and cannot be changed here.

This runs in the initramfs, so it imports little: not what installs releases, which brings hashes and system calls.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nestos.base import durable
from nestos.base.errors import StateError
from nestos.host.bootloader import grub
from nestos.slots.bootstate import Slot
from nestos.wire import deployment as wire

CONFIG, RECORD = "slot.cfg", "deployment.json"


def words(text: str) -> list[str]:
    """The arguments in ``text``; quotes stay.

    >>> words('quiet dyndbg="file a +p"')
    ['quiet', 'dyndbg="file a +p"']
    """
    return re.findall(r'(?:"[^"]*"?|[^\s"])+', text)


def changed(kargs: Sequence[str], *, should_exist: Sequence[str], should_not_exist: Sequence[str]) -> tuple[str, ...]:
    """``kargs`` without all of ``should_not_exist``, and with what of ``should_exist`` is missing, at the end."""
    unwanted = {_bare(word) for text in should_not_exist for word in words(text)}
    kept = [karg for karg in kargs if _bare(karg) not in unwanted]
    present = {_bare(karg) for karg in kept}
    for text in should_exist:
        for word in words(text):
            if _bare(word) not in present:
                kept.append(word)
                present.add(_bare(word))
    return tuple(kept)


def _bare(word: str) -> str:
    return word.replace('"', "")


def update(boot: Path, slot: Slot, *, should_exist: Sequence[str], should_not_exist: Sequence[str]) -> bool:
    """Changes the arguments of ``slot`` on the boot partition mounted at ``boot``, durably; False if none changed.

    The caller unmounts it then, which leaves no journal that GRUB would have to replay. Cut at any moment, the slot
    boots with the old arguments or the new, and another run does what is left. Raises ``StateError`` where the slot
    has no record, and ``InputError`` for an argument that cannot be one.
    """
    folder = boot / slot.boot_folder
    try:
        deployment = wire.parse((folder / RECORD).read_text(), source=f"{slot.boot_folder}/{RECORD}")
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"the boot partition has no usable record of slot {slot}: {error}") from error
    kargs = changed(deployment.kargs, should_exist=should_exist, should_not_exist=should_not_exist)
    text = grub.slot_configuration(
        root_hash=deployment.root_hash, hash_offset=deployment.hash_offset, version=deployment.version, kargs=kargs
    )
    if (folder / CONFIG).read_text() == text and kargs == deployment.kargs:
        return False
    durable.write_text(folder / CONFIG, text)
    durable.write_text(folder / RECORD, wire.render(replace(deployment, kargs=kargs)))
    return True
