"""The system's configured package sources.

A manifest names its repositories by role (``debian``, ``debian-updates``, ``debian-security``); where they are is
the host's business and is asked of the host's own apt, so that mirrors and proxies configured there are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nestos.base.errors import InputError
from nestos.base.report import nearest
from nestos.host import process
from nestos.host.packages.backend import PackageSource
from nestos.host.process import Runner

_FORMAT = "$(REPO_URI)\t$(ORIGIN)\t$(LABEL)"


@dataclass(frozen=True, kw_only=True)
class Role:
    """A repository by role: the label its release file carries, and the form of its suite."""

    label: str
    suite: str  # with {release} where the release's name goes


ROLES: Mapping[str, Role] = {
    "debian": Role(label="Debian", suite="{release}"),
    "debian-updates": Role(label="Debian", suite="{release}-updates"),
    "debian-security": Role(label="Debian-Security", suite="{release}-security"),
}


def configured(*, runner: Runner = process.run) -> dict[str, str]:
    """Base addresses of the host's configured Debian repositories, by the label of their release files."""
    listing = runner(["apt-get", "indextargets", f"--format={_FORMAT}", "Created-By: Packages"]).stdout
    found: dict[str, str] = {}
    for line in listing.splitlines():
        uri, origin, label = line.split("\t")
        if origin == "Debian":
            found.setdefault(label, uri)
    return found


def resolve(
    names: Sequence[str], *, release: str, components: Sequence[str] = ("main",), runner: Runner = process.run
) -> tuple[PackageSource, ...]:
    """The sources that the roles in ``names`` stand for, in that order.

    Raises ``InputError`` for an unknown role, or when the host has no source of that kind.
    """
    addresses = configured(runner=runner)
    sources = []
    for name in names:
        role = ROLES.get(name)
        if role is None:
            raise InputError(f"unknown repository {name!r}{nearest(name, ROLES)}", hint=f"known: {', '.join(ROLES)}")
        uri = addresses.get(role.label) or _beside(addresses, label=role.label)
        if uri is None:
            raise InputError(
                f"this system has no package source for {name!r} (label {role.label})",
                hint="add it to the apt sources and run: apt-get update",
            )
        suite = role.suite.format(release=release)
        sources.append(PackageSource(name=name, uri=uri, suite=suite, components=tuple(components)))
    return tuple(sources)


def _beside(addresses: Mapping[str, str], *, label: str) -> str | None:
    """Debian's security archive lies beside the main one on every mirror: ``…/debian`` and ``…/debian-security``."""
    main = addresses.get("Debian")
    if label == "Debian-Security" and main is not None and main.rstrip("/").endswith("/debian"):
        return main.rstrip("/") + "-security/"
    return None
