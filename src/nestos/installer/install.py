"""An installation from start to end: everything that can be checked is checked before the disk is touched."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from nestos.base.errors import InputError
from nestos.host import process
from nestos.host.process import Runner
from nestos.installer import bootfiles, ignition, signature, sources, writing
from nestos.installer.bootfiles import Changes
from nestos.installer.device import BlockDisk
from nestos.installer.fetch import Fetcher
from nestos.installer.options import Settings
from nestos.installer.progress import Meter
from nestos.installer.sources import Image
from nestos.installer.writing import Plan


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What an installation works with; tests bring their own."""

    runner: Runner = process.run
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    keys: Path = signature.SYSTEM_KEYS

    def say(self, text: str) -> None:
        """A line for the person who watches."""
        print(text, file=self.stream, flush=True)


def install(settings: Settings, *, around: Surroundings) -> None:
    """Installs. Where it raises, the disk was not touched, or holds the saved partitions and boots nothing."""
    fetcher = Fetcher(retries=settings.fetch_retries, say=around.say)
    changes = Changes(
        ignition=ignition.obtained(settings, fetcher=fetcher),
        platform=settings.platform,
        consoles=settings.consoles,
        append_kargs=settings.append_kargs,
        delete_kargs=settings.delete_kargs,
        firstboot_args=settings.firstboot_args,
        network=bootfiles.network_files(settings.network_dir) if settings.network_dir else (),
    )
    with ExitStack() as stack:
        disk = stack.enter_context(BlockDisk(settings.device))
        found = sources.find(settings, sector_bytes=disk.sector_bytes, fetcher=fetcher)
        keys = sources.require_keys(found, settings.keyrings, folder=around.keys)
        image = stack.enter_context(Image(found, keys=keys))
        content = writing.rechunked(image.content)
        made = writing.plan(next(content, b""), disk, wanted=settings.saved)
        if changes != Changes() and not any(item.name == "boot" for item in made.image.partitions):
            raise InputError(f"{image.name} has no boot partition: its config and arguments cannot be changed")
        for partition in made.interim.partitions:
            around.say(f"keeping partition {partition.number} ({partition.name})")
        around.say(f"installing {image.name} to {settings.device}")
        with _guarded(disk, made, keeps=settings.preserves_on_error, say=around.say):
            meter = Meter("writing", total_bytes=image.size_bytes, stream=around.stream)

            def verdict() -> None:
                meter.end()
                around.say(f"{image.verdict()}; reading back")

            writing.write(content, disk, made, verdict=verdict, tell=lambda _: meter(image.read_bytes))
            _personalise(disk, made, changes, around=around)
        disk.reread_table()
    around.say("installed")


def _personalise(disk: BlockDisk, made: Plan, changes: Changes, *, around: Surroundings) -> None:
    if changes == Changes():
        return
    with bootfiles.mounted(disk.path, made.final["boot"], runner=around.runner) as boot:
        bootfiles.apply(boot, changes)
    disk.settle()


@contextmanager
def _guarded(disk: BlockDisk, made: Plan, *, keeps: bool, say: Callable[[str], None]) -> Iterator[None]:
    """Inside it, any failure clears the table down to the saved partitions, unless it ``keeps`` what there is."""
    try:
        yield
    except BaseException:
        if keeps:
            say("the disk is left as it is; it must not be booted")
        else:
            writing.clear(disk, made)
            disk.reread_table()
            say("the partition table was cleared" + (" but for what was saved" if made.interim.partitions else ""))
        raise
