"""The keys that rpm-ostree does not have: ``repositories`` and everything under ``nestos``."""

from __future__ import annotations

import re

from nestos.wire.manifest.document import Node
from nestos.wire.manifest.keys import Key, Merge, Record, Status
from nestos.wire.manifest.rpm_repositories import RPM_KEYS
from nestos.wire.manifest.shapes import Anything, Choice, Either, ListOf, MapOf, Text, Whole

SIZE_PATTERN = r"[1-9][0-9]* ?(B|KiB|MiB|GiB)"
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_ACCOUNT = r"[a-z_][a-z0-9_-]*"
_ID = Whole(most=2**32 - 2)

SIZE = Either(
    options=(Whole(least=1), Text(pattern=SIZE_PATTERN, meaning='a size such as "1 GiB" or "512 MiB"')),
    label='bytes, or text such as "1 GiB"',
)


def size_bytes(node: Node) -> int:
    """A checked size in bytes: a bare number is bytes, a text has a binary unit."""
    if isinstance(node.value, int):
        return node.value
    number, unit = re.findall(r"[0-9]+|[A-Za-z]+", node.text)
    return int(number) * _UNITS[unit]


REPOSITORY = Record(
    fields=(
        Key(
            name="packages-from",
            shape=Text(pattern=r"system|https?://\S+", meaning='"system" or an http or https address'),
            note="Where the packages are: an address, or `system` for the package source that the machine that "
            "composes is configured with, so that a manifest names no host.",
            default="`system`",
        ),
        Key(
            name="archive",
            shape=Text(pattern=r"[A-Za-z0-9._-]+", meaning="one word"),
            note="Which of the machine's sources `system` means: the last part of its address "
            "(`debian`, `debian-security`).",
            default="the repository's name",
        ),
        Key(
            name="suite",
            shape=Text(pattern=r"[A-Za-z0-9._/${}-]+", meaning="one word"),
            note="Suite of a Debian archive, such as `trixie-security`. Needed by the apt backend.",
        ),
        Key(
            name="components",
            shape=ListOf(item=Text(pattern=r"[A-Za-z0-9._/-]+", meaning="one word"), least=1),
            note="Components of a Debian archive.",
            default="`[main]`",
        ),
        *RPM_KEYS,
    )
)

REPOSITORIES = Key(
    name="repositories",
    shape=MapOf(item=REPOSITORY, keys=r"[A-Za-z0-9._-]+", meaning="repository name"),
    note="What the names in `repos` stand for.",
    merge=Merge.UPDATE,
    substitutes=True,
    example="repositories: {debian: {suite: trixie, components: [main]}}",
)

COMPRESSION = Record(
    fields=(
        Key(
            name="algorithm",
            shape=Choice(options=("lz4", "lz4hc", "zstd", "none")),
            note="Compression of the system partition.",
            required=True,
        ),
        Key(
            name="level",
            shape=Whole(least=0, most=22),
            note="Level of lz4hc (0 to 12) or zstd (0 to 22).",
            default="the algorithm's own",
        ),
        Key(
            name="cluster-size",
            shape=SIZE,
            note="Bytes compressed together: a power of two from 4 KiB to 1 MiB.",
            default="64 KiB",
        ),
    )
)

BOOT = Record(
    fields=(
        Key(
            name="kargs",
            shape=ListOf(
                item=Text(pattern=r"[^\s\x00\"'$`\\]+", meaning="one kernel argument without spaces and quotes")
            ),
            note="Kernel arguments of every node, behind those that NestOS needs.",
            merge=Merge.JOIN,
        ),
        Key(
            name="tries",
            shape=Anything(),
            note="Tries of a new version.",
            status=Status.REFUSED,
            reason="it is a node's setting: add a file to /usr/lib/nestos/nestos.conf.d with [boot] tries",
        ),
    )
)

_FIELD = Text(pattern=r"[^:\n\r\x00\"$`\\\\]+", meaning='free of : " $ ` and \\')

SYSTEM_USER = Record(
    fields=(
        Key(name="uid", shape=_ID, note="Number of the user.", required=True),
        Key(
            name="gid",
            shape=_ID,
            note="Number of its first group.",
            default="the group of the same name in `groups`, else the uid",
        ),
        Key(name="description", shape=_FIELD, note="What it is for.", default="empty"),
        Key(name="home", shape=_FIELD, note="Its home.", default="`/nonexistent`"),
        Key(name="shell", shape=_FIELD, note="Its shell.", default="`/usr/sbin/nologin`"),
    )
)

EXTENSION = Key(
    name="nestos",
    shape=Record(
        fields=(
            Key(
                name="backend",
                shape=Choice(options=("apt", "dnf")),
                note="Package manager that the tree is made with. With `dnf` no tree was composed to its end yet.",
                default="`apt`",
            ),
            Key(
                name="slot-size",
                shape=SIZE,
                note="Size of each of the two system partitions.",
                default="1 GiB: a tree with two container engines is about 300 MB",
            ),
            Key(
                name="compression",
                shape=COMPRESSION,
                note="How the system partition is compressed.",
                default="`{algorithm: zstd, level: 3, cluster-size: 64 KiB}`",
            ),
            Key(name="boot", shape=BOOT, note="How nodes boot.", merge=Merge.FIELDS),
            Key(
                name="kernel-package",
                shape=Text(pattern=r"[A-Za-z0-9][A-Za-z0-9+._${}-]*", meaning="a package name"),
                note="The package with the kernel; installed besides `packages`. Takes variables.",
                default="none: the one kernel that `packages` bring",
            ),
            Key(
                name="users",
                shape=MapOf(item=Either(options=(_ID, SYSTEM_USER)), keys=_ACCOUNT, meaning="user name"),
                note="System users created before packages are installed: `name: uid`, or a mapping.",
                merge=Merge.UPDATE,
            ),
            Key(
                name="groups",
                shape=MapOf(item=_ID, keys=_ACCOUNT, meaning="group name"),
                note="System groups created before packages are installed: `name: gid`.",
                merge=Merge.UPDATE,
            ),
        )
    ),
    note="What rpm-ostree has no words for.",
    merge=Merge.FIELDS,
)
