"""The disk image as qcow2, for QEMU and the clouds that take it.

Compressed with zstd: for an image of 175 MiB of data it took the time of an uncompressed copy (0.4 s) and saved 6 %, as
much as zlib in 3 s. The slot is compressed already; what shrinks is the kernel, the initramfs and ext4's tables.
Needs QEMU 5.1 or newer to be read.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from nestos.host.process import Runner


def convert(raw: Path, *, output: Path, runner: Runner) -> None:
    """Writes ``output`` from the raw image; until it is whole, ``output`` is what it was. Same image, same bytes.

    ``runner`` must see ``raw`` and the folder of ``output`` (writable). Raises ``CommandError`` when qemu-img fails.
    """
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as work:
        partial = Path(work, "disk.qcow2")
        runner(
            [
                "qemu-img",
                "convert",
                "-f",
                "raw",
                "-O",
                "qcow2",
                "-c",
                "-o",
                "compression_type=zstd",
                raw,
                partial,
            ]
        )
        partial.replace(output)
