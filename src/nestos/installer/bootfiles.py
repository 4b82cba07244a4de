"""What an installation changes on the boot partition of the disk it wrote: files, and nothing else.

The partition is mounted by its place on the disk, through a loop device, so that neither the kernel nor udev need to
know the new partitions. It is unmounted before anyone boots from it: GRUB replays no journal.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nestos.base import durable
from nestos.base.errors import StateError
from nestos.host.bootloader.grub import quoted
from nestos.host.process import Runner
from nestos.installer.options import CONSOLE
from nestos.slots import kargs
from nestos.slots.bootstate import Slot
from nestos.wire.gpt import Partition

CONFIG = Path("ignition/config.ign")
"""Where the first boot finds its Ignition config; it is removed when the node is provisioned."""
NETWORK = Path("nestos/network")
"""Where the first boot finds network configuration: systemd-networkd's files."""
STAMP = Path("ignition.firstboot")
_NETWORK_SUFFIXES = (".network", ".netdev", ".link")
_PLATFORM = re.compile(r"^set platform=.*$", re.MULTILINE)
_SERIAL = re.compile(r"serial --unit=\d+ --speed=\d+")


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is to be changed. Empty fields change nothing."""

    ignition: bytes = b""
    platform: str = ""
    consoles: tuple[str, ...] = ()
    append_kargs: tuple[str, ...] = ()
    delete_kargs: tuple[str, ...] = ()
    firstboot_args: str = ""
    network: tuple[Path, ...] = ()


@contextmanager
def mounted(device: Path, partition: Partition, *, runner: Runner) -> Iterator[Path]:
    """The file system of ``partition`` on ``device``, mounted for the block's time."""
    with tempfile.TemporaryDirectory(prefix="nestos-boot-") as folder:
        place = f"loop,offset={partition.offset_bytes},sizelimit={partition.size_bytes}"
        runner(["mount", "--types=ext4", f"--options={place}", device, folder])
        try:
            yield Path(folder)
        finally:
            runner(["umount", folder])


def apply(boot: Path, changes: Changes) -> None:
    """Makes the changes in the file system mounted at ``boot``. Raises ``StateError`` where it is not as ours are."""
    if changes.ignition:
        _secret(boot / CONFIG, changes.ignition)
    _copy_network(boot / NETWORK, changes.network)
    if changes.firstboot_args:
        stamp = f"set ignition_network_kcmdline={quoted(changes.firstboot_args)}\n"
        durable.write_text(boot / STAMP, stamp)
    grub = boot / "grub/grub.cfg"
    text = _read(grub)
    changed = configured(text, platform=changes.platform, consoles=changes.consoles)
    if changed != text:
        durable.write_text(grub, changed)
    own = tuple(f"console={console}" for console in changes.consoles)
    for slot in Slot:
        if not (boot / slot.boot_folder / kargs.RECORD).exists():
            continue
        unwanted = changes.delete_kargs
        if own:
            unwanted = (*unwanted, *_console_words(boot, slot))
        kargs.update(boot, slot, should_exist=(*own, *changes.append_kargs), should_not_exist=unwanted)


def configured(text: str, *, platform: str, consoles: Sequence[str]) -> str:
    """``grub.cfg`` for the platform and with the serial line of the first serial console.

    Raises ``StateError`` where the text has no place for them.
    """
    if platform:
        text, count = _PLATFORM.subn(f"set platform={platform}", text)
        if count != 1:
            raise StateError("the image's grub.cfg names no platform: it is not of this system")
    for console in consoles:
        match = CONSOLE.fullmatch(console)
        if match and match["device"].startswith("ttyS"):
            serial = f"serial --unit={match['device'].removeprefix('ttyS')} --speed={match['speed'] or '9600'}"
            return _SERIAL.sub(serial, text)
    return text


def network_files(folder: Path) -> tuple[Path, ...]:
    """systemd-networkd's own files in ``folder``: regular ones, not links to what every system has."""
    if not folder.is_dir():
        raise StateError(
            f"there is no network configuration in {folder}", hint="name another folder with --network-dir"
        )
    found = (
        p for p in sorted(folder.iterdir()) if p.suffix in _NETWORK_SUFFIXES and p.is_file() and not p.is_symlink()
    )
    return tuple(found)


def _console_words(boot: Path, slot: Slot) -> list[str]:
    text = _read(boot / slot.boot_folder / kargs.RECORD)
    return re.findall(r'"(console=[^"]+)"', text)


def _copy_network(target: Path, files: Sequence[Path]) -> None:
    if not files:
        return
    target.mkdir(parents=True, exist_ok=True)
    for file in files:
        copy = target / file.name
        shutil.copyfile(file, copy)
        # WireGuard keys are in such files.
        copy.chmod(0o600)


def _secret(path: Path, data: bytes) -> None:
    """A file only root may read, in a folder only root may enter: configs hold passwords and keys."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.parent.chmod(0o700)
    durable.write(path, data, mode=0o600)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"the image has no usable {path.name} on its boot partition: {error}") from error
