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

_PLATFORMS = (
    "akamai aliyun applehv aws azure azurestack brightbox cloudstack digitalocean exoscale file gcp hetzner hyperv "
    "ibmcloud kubevirt metal nutanix nvidiabluefield openstack oraclecloud packet powervs proxmoxve qemu scaleway "
    "upcloud virtualbox vmware vultr zvm"
)

PROVIDERS: Mapping[str, str] = {name: f"providers.{name}" for name in _PLATFORMS.split()}
"""Platform, as given on the command line, to the module with ``fetch_config(job, transport=...)``.

A module may also have ``delete_config(job)``, for platforms where a config can be deleted once it was read, and
``report_status(job, stage=..., error=...)``, for those that want to know how a stage ended.
"""

FETCHERS: Mapping[str, str] = {
    "data": "fetchers.data",
    "file": "fetchers.local",
    "http": "fetchers.http",
    "https": "fetchers.http",
    "tftp": "fetchers.tftp",
    "s3": "fetchers.s3",
    "arn": "fetchers.s3",
    "gs": "fetchers.gs",
}
"""Scheme of a URL to the module with ``fetch(url, sink=..., transport=...)``."""

NETWORK = "network"
"""The machine's own sockets, for whoever reaches beyond the machine."""

TLS = "tls"
"""For connections that have to be secured."""

BYPASS = "fetchers.bypass"
"""Which hosts go without a proxy, for configs that name a proxy."""

AZURE_BLOB = "fetchers.azure_blob"
"""Azure's storage with the machine's identity, on Azure."""

DRIVE = "providers.sources.drive"
"""Reading from a file system that is mounted for that, for platforms and for the kernel command line."""

DIGEST = "fetchers.digest"
"""Hash functions, for resources that name a hash."""

JOURNAL = "journal"
"""Structured journal records, where there is a journal."""

DISKS = "disks.work"
"""Partitions, arrays, volumes and file systems, for configs that have any."""

MOUNTING = "disks.mounting"
"""Mounting and unmounting, for configs with file systems that have a place."""

FAILURE = "failure"
"""What is shown of a config when a stage failed."""

OUTCOME = "outcome"
"""Telling a server how a stage ended, where that is asked for."""

_OTHERS = (NETWORK, TLS, BYPASS, AZURE_BLOB, DRIVE, DIGEST, JOURNAL, DISKS, MOUNTING, FAILURE, OUTCOME)


def all_parts() -> list[str]:
    """The full names of all modules that ``load`` can be asked for."""
    names = {*STAGES.values(), *PROVIDERS.values(), *FETCHERS.values(), *_OTHERS}
    return sorted(f"{_HERE}.{name}" for name in names)


def load(name: str) -> ModuleType:
    """The module of that name, one of the values above."""
    return importlib.import_module(f"{_HERE}.{name}")
