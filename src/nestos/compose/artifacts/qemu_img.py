"""Disk image formats that ``qemu-img`` writes: one line each in ``FORMATS``, the reason beside it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from nestos.host.process import Runner

FORMATS: Mapping[str, tuple[str, ...]] = {
    # zstd took the time of an uncompressed copy and saved as much as zlib in six times that; needs QEMU 5.1 to be read.
    "qcow2": ("qcow2", "-c", "-o", "compression_type=zstd"),
    # What ESXi imports and Amazon's importer takes: compressed grains, written once from front to end.
    "vmdk": ("vmdk", "-o", "subformat=streamOptimized,adapter_type=lsilogic,compat6"),
    # Fixed, because Azure takes no other; without force_size QEMU rounds the size to a disk geometry of 1990.
    "vhd": ("vpc", "-o", "subformat=fixed,force_size=on"),
    "vhdx": ("vhdx", "-o", "subformat=dynamic"),
}
"""Format to qemu-img's name of it and the options."""


def convert(raw: Path, *, output: Path, form: str, runner: Runner) -> None:
    """Writes ``output`` from the raw image; until it is whole, ``output`` is what it was.

    ``runner`` must see ``raw`` and the folder of ``output`` (writable). Raises ``CommandError`` when qemu-img fails.
    """
    name, *options = FORMATS[form]
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as work:
        partial = Path(work, f"disk.{form}")
        runner(["qemu-img", "convert", "-f", "raw", "-O", name, *options, raw, partial])
        partial.replace(output)
