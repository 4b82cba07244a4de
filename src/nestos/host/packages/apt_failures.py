"""What a failed apt command means.

From the text that apt 3.0 prints to the project's errors; the texts were recorded from real runs against mirrors
with faults (tests/unit/host/packages/recorded.py). An unknown text stays a ``CommandError``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nestos.base.errors import CommandError, InputError, NestosError, NetworkError, SpaceError, VerificationError
from nestos.host.packages.backend import PackageSource, Request
from nestos.host.space import FULL

_MISSING = (
    re.compile(r"^E: Unable to locate package (\S+)", re.MULTILINE),
    re.compile(r"^E: Package '([^']+)' has no installation candidate", re.MULTILINE),
    re.compile(r"^E: Version '[^']+' for '([^']+)' was not found", re.MULTILINE),
)
_UNMET = re.compile(r"^The following packages have unmet dependencies:\n((?: .*\n?)+)", re.MULTILINE)
_UNFETCHED = re.compile(r"^[EW]: Failed to fetch (.+)$", re.MULTILINE)
_NO_RELEASE = re.compile(r"^E: The repository '([^']+)' (does not have a Release file|no longer has a Release file)")
_UNTRUSTED = re.compile(
    r"^[EW]: (.*(?:is not signed|is no longer signed|NO_PUBKEY|GPG error|OpenPGP signature verification failed|"
    r"Release file for \S+ is "
    r"(?:expired|not valid yet)|changed its '\w+' value).*)$",
    re.MULTILINE,
)
_OTHER_CONTENT = ("Hash Sum mismatch", "File has unexpected size")
_LINES_SHOWN = 12
_UNSIGNED_HINT = "sign the source, or take them all the same in this one command with --allow-unsigned"


def unfetched(error: CommandError) -> NestosError:
    """The error for a failed update or download, naming the address and the reason; else ``error`` itself."""
    text = error.output
    lines = list(dict.fromkeys(_UNFETCHED.findall(text)))
    if any(words in text for words in FULL):
        return SpaceError(f"no space is left for packages and their indexes: {_first(text, FULL)}")
    other = [line for line in lines if any(words in line for words in _OTHER_CONTENT)]
    if other:
        return VerificationError(
            "the archive gave other content than its index says:\n" + _shown(other),
            hint="the mirror may be in the midst of an update; run it again, or use another mirror",
        )
    untrusted = list(dict.fromkeys(_UNTRUSTED.findall(text)))
    if untrusted:
        return VerificationError(
            "a package source cannot be trusted:\n" + _shown(untrusted + lines),
            hint="check its address; its key must be in the archive keyrings",
        )
    lines += [f"{match[1]} {match[2]}" for line in text.splitlines() if (match := _NO_RELEASE.match(line))]
    if lines:
        return NetworkError(
            "packages could not be fetched:\n" + _shown(lines),
            hint="check the network and the system's apt sources; run it again to go on where it stopped",
        )
    return error


def unresolved(error: CommandError, request: Request) -> NestosError:
    """The error for names that cannot be installed, all of them at once; else ``error`` itself."""
    missing = sorted({name for pattern in _MISSING for name in pattern.findall(error.output)})
    if missing:
        suites = ", ".join(source.suite for source in request.sources if isinstance(source, PackageSource))
        return InputError(
            f"not in the archive ({suites}, {request.architecture}): {', '.join(missing)}",
            hint="a virtual package is asked for by the name of one that provides it",
        )
    unmet = _UNMET.search(error.output)
    if unmet is None:
        return error
    lines = unmet[1].rstrip().splitlines()
    needed = [name for name in request.excluded if any(_needs(line, name) for line in lines)]
    if needed:
        those = [line for line in lines if any(_needs(line, name) for name in needed)]
        return InputError(f"excluded packages are needed by others: {', '.join(needed)}\n{_shown(those)}")
    return InputError(f"the packages cannot be installed together:\n{_shown(lines)}")


def unsolved(error: CommandError) -> NestosError:
    """The error for packages that cannot be put on top of a release, with apt's own text; else ``error`` itself."""
    missing = sorted({name for pattern in _MISSING for name in pattern.findall(error.output)})
    if missing:
        return InputError(
            f"no package source of this node has: {', '.join(missing)}",
            hint="look for its name with: search; the sources are those in /etc/apt",
            kind="no-package",
        )
    unmet = _UNMET.search(error.output)
    if unmet is not None:
        return InputError(
            f"the packages do not fit on this release:\n{_shown(unmet[1].rstrip().splitlines())}",
            hint="a package of the release stays at its version: take a newer release, or replace it with an override",
            kind="unsolvable",
        )
    untrusted = re.search(r"^E: There were unauthenticated packages.*$", error.output, re.MULTILINE)
    if untrusted or "packages cannot be authenticated" in error.output:
        return VerificationError("these packages come from a source that is not signed", hint=_UNSIGNED_HINT)
    return error


def _needs(line: str, name: str) -> bool:
    return re.search(rf"Depends: {re.escape(name)}(?::\w+)?(?: |$)", line) is not None


def _first(text: str, words: Sequence[str]) -> str:
    return next(line.strip() for line in text.splitlines() if any(word in line for word in words))


def _shown(lines: Sequence[str]) -> str:
    rest = [f"  and {len(lines) - _LINES_SHOWN} more"] if len(lines) > _LINES_SHOWN else []
    return "\n".join([*(f"  {line.strip()}" for line in lines[:_LINES_SHOWN]), *rest])
