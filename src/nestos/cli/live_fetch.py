"""``nestos-live-fetch``, in the initramfs: the root of a live system, from its address into memory, and nothing else.

What was fetched is used only when it has the size and the checksum that the initramfs knows: kernel, initramfs and root
of one release belong together. Exit status: 0 fetched, 1 not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nestos.base.errors import NestosError
from nestos.installer import rootfs
from nestos.installer.fetch import Fetcher

_RETRIES = 40  # 20 minutes: servers and networks come late, and nothing else can be done meanwhile


def parser() -> argparse.ArgumentParser:
    """The command line."""
    described = argparse.ArgumentParser(prog="nestos-live-fetch", description="Fetch the root of a live system.")
    described.add_argument("url", metavar="URL")
    described.add_argument("--output", type=Path, required=True, metavar="PATH")
    described.add_argument("--bytes", type=int, required=True, metavar="N", help="its size")
    described.add_argument("--sha256", required=True, metavar="HEX", help="its checksum")
    return described


def program(arguments: Sequence[str] | None = None) -> int:
    """Fetches; returns the exit status."""
    given = parser().parse_args(arguments)
    try:
        fetcher = Fetcher(retries=_RETRIES, say=_say)
        rootfs.fetch(given.url, given.output, size=given.bytes, sha256=given.sha256, fetcher=fetcher, say=_say)
    except (NestosError, OSError) as error:
        _say(str(error))
        return 1
    return 0


def _say(text: str) -> None:
    print(f"nestos: {text}", file=sys.stderr, flush=True)
