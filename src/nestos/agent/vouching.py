"""Whether a stream's keepers vouch for a release, on a node that has a root of trust.

Root's part, in the process that stages: python-tuf is loaded there and goes with it, the agent stays small. Without a
root file the signed commit alone counts. With one, nothing is taken that signed metadata (``nestos.trust``) does not
name with the very commit: a server of graphs that was taken over can then offer no old or foreign release.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from nestos.agent import identity
from nestos.agent.choice import Release
from nestos.agent.identity import Identity
from nestos.base.errors import NestosError, StateError
from nestos.base.paths import Root
from nestos.trust import releases
from nestos.trust.releases import Checked, Settings

ROOTS = ("/etc/nestos/trust/root.json", "/usr/share/nestos/trust/root.json")
"""Metadata of the role root that are believed at first; the first file that is there counts."""
STATE = "/var/lib/nestos/trust"

Refresh = Callable[[Settings], Checked]


class Voucher(Protocol):
    """Who is asked before a release is taken; ``Keepers`` is the real one."""

    def require(self, release: Release, *, who: Identity) -> None:
        """Raises ``NestosError`` unless it may be taken."""


class Keepers:
    """Signed release metadata at ``url``, before its variables are filled in; ``root``: of the node's files."""

    def __init__(self, root: Root, *, url: str, refresh: Refresh) -> None:
        self._root = root
        self._url = url
        self._refresh = refresh

    def require(self, release: Release, *, who: Identity) -> None:
        found = trusted_root(self._root)
        if found is None:
            return
        if not self._url:
            raise StateError(
                f"{release.version} is not taken: {found} asks for signed release metadata, and no address is set",
                hint="set updates.trust.base_url in /etc/nestos/agent.d",
                kind="not-vouched",
            )
        settings = Settings(url=identity.filled_in(self._url, who), root=found, state=self._root.join(STATE))
        try:
            releases.require_commit(
                self._refresh(settings),
                name=who.stream,
                version=release.version,
                architecture=who.basearch,
                commit=release.payload,
            )
        except NestosError as error:
            sentence = f"{release.version} is not taken, because nobody vouches for it: {error}"
            raise NestosError(sentence, hint=error.hint, kind=error.kind) from error


def trusted_root(root: Root) -> Path | None:
    """The root of trust of this node; none where it has none."""
    return next((path for path in map(root.join, ROOTS) if path.exists()), None)
