"""The system's configured package sources.

A manifest names its repositories by archive (``debian``, ``debian-security``); where they are is the host's business
and is asked of the host's own apt, so that mirrors and proxies configured there are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType

from nestos.base.errors import InputError
from nestos.host import process
from nestos.host.packages.backend import PackageSource
from nestos.host.process import Runner

# Archive name -> label in the release file of an archive of that kind.
_LABELS = {"debian": "Debian", "debian-security": "Debian-Security"}


def configured(*, runner: Runner | None = None) -> Mapping[str, str]:
    """Base addresses of the host's configured package sources, by archive name.

    The name is the last part of the address; Debian's own archives are also found by the label of their release
    file, wherever a mirror keeps them. Without a ``runner`` this host is asked, once.
    """
    return _configured_here() if runner is None else _ask(runner)


@cache  # apt takes a second for it, and every compose wants to know several times
def _configured_here() -> Mapping[str, str]:
    return MappingProxyType(_ask(process.run))


def _ask(runner: Runner) -> dict[str, str]:
    form = "--format=$(REPO_URI)\t$(ORIGIN)\t$(LABEL)"
    found: dict[str, str] = {}
    for line in runner(["apt-get", "indextargets", form, "Created-By: Packages"]).stdout.splitlines():
        uri, origin, label = line.split("\t")
        found.setdefault(uri.rstrip("/").rpartition("/")[2], uri)
        for archive, known in _LABELS.items():
            if origin == "Debian" and label == known:
                found[archive] = uri
    return found


def locate(archive: str, addresses: Mapping[str, str]) -> str:
    """The address of ``archive`` among the configured ones. Raises ``InputError`` where the host has none."""
    if archive in addresses:
        return addresses[archive]
    main = addresses.get("debian", "").rstrip("/")
    if archive == "debian-security" and main.endswith("/debian"):
        return f"{main}-security/"  # beside the main archive, as mirrors have it
    raise InputError(
        f"this system has no package source for the archive {archive!r}",
        hint=f"configured: {', '.join(sorted(addresses)) or 'none'}; add it to the apt sources and run apt-get update",
    )


def debian(release: str, *, components: Sequence[str] = ("main",), runner: Runner | None = None) -> list[PackageSource]:
    """The three sources of a stable Debian release: the release, its updates, its security updates."""
    addresses = configured(runner=runner)
    rows = (("debian", release), ("debian", f"{release}-updates"), ("debian-security", f"{release}-security"))
    return [
        PackageSource(name=suite, uri=locate(archive, addresses), suite=suite, components=tuple(components))
        for archive, suite in rows
    ]
