"""One file, compressed: by as many threads as there are cores, where the format allows; the same bytes each time."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from nestos.host.process import Runner

# The bulk of an image is a compressed slot: higher levels cost minutes and win next to nothing.
_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "xz": ("xz", "-3", "--threads=0", "--block-size=16MiB"),  # blocks, so that it can be unpacked in parallel too
    "gz": ("gzip", "-6", "--no-name"),
    "zst": ("zstd", "-6", "--threads=0", "--quiet"),
}


def compress(source: Path, *, output: Path, by: str, runner: Runner) -> None:
    """Writes ``output`` from ``source``; until it is whole, ``output`` is what it was.

    ``runner`` must see both folders. Raises ``CommandError`` when the program fails.
    """
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as work:
        # A link, because the programs write beside their input; --force makes them follow it.
        link = Path(work, "disk")
        link.symlink_to(source)
        runner([*_COMMANDS[by], "--force", "--keep", link])
        Path(work, f"disk.{by}").replace(output)
