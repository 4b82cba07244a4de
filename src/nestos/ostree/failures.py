"""What a failed ``ostree`` command means.

One table from the text that ostree 2025.2 prints to the project's errors; the texts were recorded from real runs
(tests/unit/ostree/recorded.py). An unknown text stays a ``CommandError``, so nothing is ever swallowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from nestos.base.errors import CommandError, InputError, NestosError, NetworkError, SpaceError, VerificationError

_KEYS_HINT = "the node trusts the keys in /usr/share/nestos/keys and /etc/nestos/keys"
_DAMAGED_HINT = "the server's copy is damaged; the same command fetches the rest once it is repaired"

TRUNCATED = re.compile(r"Writing content object: (Need more input|Unexpected end|Short read)")


def _commit_of(text: str) -> str:
    found = re.search(r"[Cc]ommit ([0-9a-f]{64})", text)
    return f"commit {found[1]}" if found else "the repository summary"


def _unsigned(match: re.Match[str]) -> NestosError:
    what = _commit_of(match.string)
    return VerificationError(f"{what} carries no signature", hint=_KEYS_HINT, kind="unsigned")


def _no_summary(match: re.Match[str]) -> NestosError:
    return VerificationError(f"the repository has no signed summary: {match[1]} is missing", kind="unsigned")


def _unknown_key(match: re.Match[str]) -> NestosError:
    what = _commit_of(match.string)
    found = re.search(r"key ID ([0-9A-F]+)", match.string)
    key = f" {found[1]}" if found else ""
    return VerificationError(f"{what} is signed by a key{key} that is not trusted", hint=_KEYS_HINT, kind="unknown-key")


def _bad_signature(match: re.Match[str]) -> NestosError:
    return VerificationError(f"the signature of {_commit_of(match.string)} is wrong", kind="bad-signature")


def _expired(match: re.Match[str]) -> NestosError:
    return VerificationError(
        f"{_commit_of(match.string)}: the key or its signature has {match[1]}", hint=_KEYS_HINT, kind="bad-signature"
    )


def _corrupt(match: re.Match[str]) -> NestosError:
    return VerificationError(
        f"{match[1]} object {match[2]} is not what its name says (it reads as {match[3]})", hint=_DAMAGED_HINT
    )


def _unreadable(match: re.Match[str]) -> NestosError:
    return VerificationError(f"object {match[1]} cannot be read: {match[2]}", hint=_DAMAGED_HINT)


def _truncated(match: re.Match[str]) -> NestosError:
    return VerificationError(f"an object is truncated: {match[1]}", hint=_DAMAGED_HINT)


def _lost(match: re.Match[str]) -> NestosError:
    return VerificationError(f"object {match[1]} is missing in the local repository", kind="missing-object")


def _http(match: re.Match[str]) -> NestosError:
    return NetworkError(f"{match[1]}: the server answered HTTP {match[2]}", kind=f"http-{match[2]}")


def _curl(match: re.Match[str]) -> NestosError:
    return NetworkError(f"{match[1]}: {match[3]}", hint="what was already fetched is kept; run the command again")


def _no_branch(match: re.Match[str]) -> NestosError:
    return InputError(f'the repository has no branch "{match[1]}"', hint="check [update] ref in nestos.conf.d")


def _no_ref(match: re.Match[str]) -> NestosError:
    return InputError(f'there is no commit or branch "{match[1]}" in the repository', kind="no-ref")


def _no_remote(match: re.Match[str]) -> NestosError:
    return InputError(f'the repository knows no remote "{match[1]}"')


def _no_repository(match: re.Match[str]) -> NestosError:
    return InputError(f"{match[1]} is no OSTree repository: {match[2]}")


def _space(match: re.Match[str]) -> NestosError:
    return SpaceError(f"no space left for the repository: {match[1]}", hint="free some space in /var and run it again")


def _no_key(match: re.Match[str]) -> NestosError:
    return InputError(f"the GPG home has no secret key {match[1]} to sign with")


_MEANINGS: list[tuple[str, Callable[[re.Match[str]], NestosError]]] = [
    (r"GPG verification enabled, but no signatures found", _unsigned),
    (r"GPG verification enabled, but no (summary(?:\.sig)?) found", _no_summary),
    (r"BAD signature from", _bad_signature),
    (r"(?:[Kk]ey|[Ss]ignature).*\b(expired|been revoked)", _expired),
    (r"Can't check signature: public key not found", _unknown_key),
    (r"Corrupted (\w+) object; checksum expected='([0-9a-f]{64})' actual='([0-9a-f]{64})'", _corrupt),
    (r"Couldn't find file object '([0-9a-f]{64})'", _lost),
    (r"No such metadata object ([0-9a-f]{64}\.\w+)", _lost),
    (r"Parsing ([0-9a-f]{64}\.\w+): (.+)", _unreadable),
    (TRUNCATED.pattern, _truncated),
    (r"(min-free-space-\w+ .+ would be exceeded.*|.*No space left on device)", _space),
    (r"While fetching (\S+): Server returned HTTP (\d+)", _http),
    (r"While fetching (\S+): \[(\d+)\] (.+)", _curl),
    (r"No such branch '(.+)' in repository summary", _no_branch),
    (r"Refspec '(.+)' not found", _no_ref),
    (r'Remote "(.+)" not found', _no_remote),
    (r"opening repo: opendir\((.+)\): (.+)", _no_repository),
    (r"Unable to lookup key ID (\S+):", _no_key),
]


def meaning(error: CommandError) -> NestosError:
    """The project's error for what ``ostree`` printed, or ``error`` itself where the text is not known."""
    for pattern, build in _MEANINGS:
        if match := re.search(pattern, error.output):
            return build(match)
    return error


def unwritten(debug_output: str) -> list[str]:
    """Objects whose fetch ended but whose write did not, from ``ostree --verbose pull``; the last one first.

    For a truncated content object ostree 2025.2 prints no name ("Writing content object: Need more input"), so the
    pull is run once more with its log on.
    """
    fetched = re.findall(r"fetch of ([0-9a-f]{64}\.\w+) complete", debug_output)
    written = set(re.findall(r"write of ([0-9a-f]{64}\.\w+) complete", debug_output))
    return [name for name in reversed(fetched) if name not in written]
