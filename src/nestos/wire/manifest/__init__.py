"""The manifest: one description of an operating system, in rpm-ostree's treefile language with our additions.

The way of a manifest: files -> ``document`` (nodes with places) -> ``fragments`` (checked against the table of
``treefile`` and ``extension``, then joined) -> ``resolve`` (variables, defaults, files) -> ``Manifest``.
This package needs PyYAML; nodes do not import it.
"""

from nestos.wire.manifest.identity import digest
from nestos.wire.manifest.loading import load, require
from nestos.wire.manifest.model import (
    AddedFile,
    Backend,
    Compression,
    Manifest,
    RemovedFromPackage,
    Repository,
    RpmRepository,
    Script,
    SystemUser,
)

__all__ = [
    "AddedFile",
    "Backend",
    "Compression",
    "Manifest",
    "RemovedFromPackage",
    "Repository",
    "RpmRepository",
    "Script",
    "SystemUser",
    "digest",
    "load",
    "require",
]
