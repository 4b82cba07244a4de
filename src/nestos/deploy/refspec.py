"""What ``rebase`` is told to follow: a branch of this node's one source, in the spellings that rpm-ostree takes.

A container image is no release here: a slot takes a tree whose signed commit vouches for every byte and for the root
hash of its image, and nothing in an image of the usual transports does.
"""

from __future__ import annotations

import re

from nestos.base.errors import InputError
from nestos.ostree.commits import is_checksum

_CONTAINER = re.compile(
    r"(ostree-(unverified-image|unverified-registry|image-signed|remote-image|remote-registry)"
    r"|docker|containers-storage|oci|oci-archive|docker-archive|registry|dir):.*"
)
_SUPPORTED = "supported are: BRANCH, REMOTE:BRANCH, and the name of a stream, the last part of a branch"


def branch(words: str, *, branch: str = "", remote: str = "", current: str, own_remote: str) -> str:
    """The branch that ``words`` (or ``--branch`` and ``--remote``) name on a node that follows ``current``.

    A word without a slash is the name of a stream: the last part of ``current`` in its place. Raises ``InputError``
    for what a node cannot follow, saying what it can.

    >>> branch("testing", current="nestos/x86_64/stable", own_remote="nestos")
    'nestos/x86_64/testing'
    """
    if bool(words) == bool(branch or remote):
        raise InputError("say what to follow: a branch, or --branch and --remote", hint=_SUPPORTED)
    if _CONTAINER.fullmatch(words):
        raise InputError(
            f"{words} is a container image, and a node takes releases from a repository of signed commits only",
            hint=_SUPPORTED,
            kind="unsupported",
        )
    words = words.removeprefix("ostree://")
    if words.startswith("/"):
        raise InputError(
            f"{words} is a repository on this machine, and a node has one source",
            hint="serve it (nestos serve), or set its file:// address as [update] url; then upgrade",
            kind="unsupported",
        )
    if is_checksum(words):
        raise InputError("that is a commit, not a branch", hint=f"nestos deploy {words}")
    named, colon, rest = words.rpartition(":")
    remote, name = (named, rest) if colon else (remote, words or branch)
    if remote not in ("", own_remote):
        raise InputError(
            f'this node has no remote "{remote}": its one source is "{own_remote}"',
            hint="another server is set as [update] url in /etc/nestos/nestos.conf.d",
        )
    if not name:
        return current
    if name.startswith("-") or any(letter.isspace() or letter in "@^" for letter in name):
        raise InputError(f'"{name}" is no branch name')
    return name if "/" in name else "/".join([*current.split("/")[:-1], name])
