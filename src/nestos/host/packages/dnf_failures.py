"""What a failure of dnf, librepo or rpm means.

dnf's program answers in data; what remains to be read is the text of libraries inside it. The patterns for
file conflicts, full disks and unmet dependencies are still to be compared with real runs. An unknown text stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from nestos.base.errors import CommandError, InputError, NestosError, NetworkError, SpaceError, VerificationError
from nestos.host.packages.backend import Package, Request, RpmSource
from nestos.host.process import Completed
from nestos.host.space import FULL

_OTHER_CONTENT = ("hecksum", "not match", "gpg", "GPG", "OpenPGP", "signature", "larger than expected", "corrupt")
_FILTERED = re.compile(r"package (\S+) (?:\S+ )*is filtered out by exclude filtering")
_CONFLICT = re.compile(r"^\s*(file \S+ (?:from|conflicts).*)$", re.MULTILINE)
_ROOM = re.compile(r"^\s*(installing package \S+ needs .*)$", re.MULTILINE)
_UNMET = re.compile(r"^error: Failed dependencies:\n((?:\t.*\n?)+)", re.MULTILINE)
_SCRIPTLET = re.compile(r"^\s*(?:error|warning): (.*scriptlet failed.*)$", re.MULTILINE)
_SIGNED = "digests signatures OK"
_LINES_SHOWN = 12


def unfetched(lines: Sequence[str]) -> NestosError:
    """The error for indexes or files that did not come, naming address and reason."""
    text = "\n".join(lines)
    if any(words in text for words in FULL):
        return SpaceError(f"no space is left for packages and their indexes: {lines[0]}")
    if any(words in text for words in _OTHER_CONTENT):
        return VerificationError(
            "a repository gave other content than it should:\n" + _shown(lines),
            hint="the mirror may be in the midst of an update; run it again, or use another mirror",
        )
    return NetworkError(
        "packages could not be fetched:\n" + _shown(lines),
        hint="check the network and the manifest's repositories; run it again to go on where it stopped",
    )


def unresolved(answer: Mapping[str, Any], request: Request) -> NestosError:
    """The error for names that cannot be installed, all of them at once."""
    if missing := answer.get("missing"):
        names = ", ".join(source.name for source in request.sources if isinstance(source, RpmSource))
        lines = [f"  {name}{_near(near)}" for name, near in sorted(missing.items())]
        return InputError(f"not in the repositories ({names}, {request.architecture}):\n" + "\n".join(lines))
    problems = str(answer.get("problems", "")).splitlines()
    needed = [name for name in request.excluded if any(_mentions(line, name) for line in problems)]
    if needed:
        return InputError(f"excluded packages are needed by others: {', '.join(needed)}\n{_shown(problems)}")
    return InputError(f"the packages cannot be installed together:\n{_shown(problems)}")


def unsigned(done: Completed, files: Mapping[str, Package]) -> VerificationError:
    """The error for packages whose signature is missing, wrong, or of a key that the manifest does not give."""
    lines = []
    for line in done.stdout.splitlines():
        path, _, verdict = line.partition(": ")
        if path in files and verdict != _SIGNED:
            lines.append(f"{files[path].name} {files[path].version}: {verdict}")
    return VerificationError(
        "packages that no key of their repository has signed:\n" + _shown(lines or done.stderr.splitlines()),
        hint="the manifest's gpgkey must be that of the distribution; gpgcheck: false takes what is unsigned",
    )


def uninstalled(error: CommandError) -> NestosError:
    """The error for a failed transaction of rpm; else ``error`` itself."""
    text = error.output
    if any(words in text for words in FULL) or _ROOM.search(text):
        return SpaceError(f"no space is left for the packages:\n{_shown(_ROOM.findall(text) or text.splitlines())}")
    if conflicts := _CONFLICT.findall(text):
        return InputError(f"packages have the same file with other content:\n{_shown(conflicts)}")
    if unmet := _UNMET.search(text):
        return InputError(f"the packages do not fit together:\n{_shown(unmet[1].splitlines())}")
    if scriptlets := _SCRIPTLET.findall(text):
        return _failed(scriptlets, text, returncode=error.returncode)
    return error


def check_scriptlets(done: Completed) -> None:
    """Raises ``CommandError`` where a scriptlet failed: rpm goes on after most, and a release must not."""
    if failed := _SCRIPTLET.findall(done.stderr):
        raise _failed(failed, done.stderr, returncode=done.returncode)


def broken(error: CommandError) -> NestosError:
    """The error for a program that ended without an answer."""
    if any(words in error.output for words in FULL):
        last = error.output.strip().rpartition("\n")[2]
        return SpaceError(f"no space is left for packages and their indexes: {last}")
    return error


def _failed(scriptlets: Sequence[str], output: str, *, returncode: int) -> CommandError:
    said = [line for line in output.splitlines() if line.strip() and not _SCRIPTLET.match(line)]
    end = _shown(said[-_LINES_SHOWN:])
    return CommandError(
        f"packages could not be installed:\n{_shown(scriptlets)}\nwhat was said before:\n{end}",
        returncode=returncode,
        output=output,
        hint="the whole command is in the log of: nestos -v",
    )


def _mentions(line: str, name: str) -> bool:
    return re.search(rf"(?<![\w.+-]){re.escape(name)}(?![\w+])", line) is not None and (
        "nothing provides" in line or _FILTERED.search(line) is not None
    )


def _near(names: Sequence[str]) -> str:
    return f" (there is: {', '.join(names)})" if names else ""


def _shown(lines: Sequence[str]) -> str:
    rest = [f"  and {len(lines) - _LINES_SHOWN} more"] if len(lines) > _LINES_SHOWN else []
    return "\n".join([*(f"  {line.strip()}" for line in lines[:_LINES_SHOWN]), *rest])
