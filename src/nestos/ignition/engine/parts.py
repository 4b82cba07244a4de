"""The parts of the engine that are loaded only when they are wanted, and the one place that loads them.

The engine runs in the initramfs, once for each stage, and the time that imports take is boot time. So a stage, a
provider or a fetcher is imported by name when its turn comes: a config with nothing but data URLs never loads the
TLS and HTTP modules. The tables below are complete: ``closure`` reads them to find every file the engine can need.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import ModuleType

_HERE = __package__ or ""

STAGES: Mapping[str, str] = {
    "fetch-offline": "stages.fetch_offline",
    "fetch": "stages.fetch",
    "kargs": "stages.kargs",
    "disks": "stages.disks",
    "mount": "stages.mount",
    "files": "stages.files",
    "umount": "stages.umount",
}
"""Stage, as given on the command line, to the module with ``run(job)``."""

PROVIDERS: Mapping[str, str] = {"file": "providers.file", "metal": "providers.metal", "qemu": "providers.qemu"}
"""Platform, as given on the command line, to the module with ``fetch_config(job)``."""

FETCHERS: Mapping[str, str] = {"data": "fetchers.data", "http": "fetchers.http", "https": "fetchers.http"}
"""Scheme of a URL to the module with ``fetch(url, sink=..., transport=...)``."""

DIGEST = "fetchers.digest"
"""Hash functions, for resources that name a hash."""

JOURNAL = "journal"
"""Structured journal records, where there is a journal."""


def all_parts() -> list[str]:
    """The full names of all modules that ``load`` can be asked for."""
    names = {*STAGES.values(), *PROVIDERS.values(), *FETCHERS.values(), DIGEST, JOURNAL}
    return sorted(f"{_HERE}.{name}" for name in names)


def load(name: str) -> ModuleType:
    """The module of that name, one of the values above."""
    return importlib.import_module(f"{_HERE}.{name}")
