"""Writes RPM package files, version 4 of the format (rpm.org, "RPM V4 Package format"). Pure but for the one write.

rpmbuild is for packages that are built; taking files apart and putting them together again for it costs two hundred
packages the better part of an hour. What is written here, rpm itself reads, checks, signs and installs.
"""

from __future__ import annotations

import gzip
import hashlib
import stat
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from pathlib import Path, PurePosixPath
from typing import TypeAlias


class Tag(IntEnum):
    """Header tags (lib/rpmtag.h)."""

    I18N = 100
    NAME = 1000
    VERSION = 1001
    RELEASE = 1002
    EPOCH = 1003
    SUMMARY = 1004
    DESCRIPTION = 1005
    BUILD_TIME = 1006
    BUILD_HOST = 1007
    SIZE = 1009
    LICENSE = 1014
    GROUP = 1016
    OS = 1021
    ARCH = 1022
    PRE = 1023
    FILE_SIZES = 1028
    FILE_MODES = 1030
    FILE_DEVICE_NUMBERS = 1033
    FILE_TIMES = 1034
    FILE_DIGESTS = 1035
    FILE_LINKS = 1036
    FILE_FLAGS = 1037
    FILE_USERS = 1039
    FILE_GROUPS = 1040
    SOURCE_PACKAGE = 1044
    FILE_VERIFY = 1045
    PROVIDE_NAMES = 1047
    REQUIRE_FLAGS = 1048
    REQUIRE_NAMES = 1049
    REQUIRE_VERSIONS = 1050
    CONFLICT_FLAGS = 1053
    CONFLICT_NAMES = 1054
    CONFLICT_VERSIONS = 1055
    PRE_PROGRAM = 1085
    FILE_DEVICES = 1095
    FILE_INODES = 1096
    FILE_LANGUAGES = 1097
    PROVIDE_FLAGS = 1112
    PROVIDE_VERSIONS = 1113
    DIRECTORY_INDEXES = 1116
    BASENAMES = 1117
    DIRECTORIES = 1118
    PAYLOAD_FORMAT = 1124
    PAYLOAD_COMPRESSOR = 1125
    PAYLOAD_FLAGS = 1126
    POSTTRANS = 1152
    POSTTRANS_PROGRAM = 1154
    FILE_DIGEST_ALGORITHM = 5011
    RECOMMEND_NAMES = 5046
    RECOMMEND_VERSIONS = 5047
    RECOMMEND_FLAGS = 5048
    ENCODING = 5062
    TRIGGER_SCRIPTS = 5076
    TRIGGER_PROGRAMS = 5077
    TRIGGER_SCRIPT_FLAGS = 5078
    TRIGGER_NAMES = 5079
    TRIGGER_INDEXES = 5080
    TRIGGER_VERSIONS = 5081
    TRIGGER_FLAGS = 5082
    TRIGGER_PRIORITIES = 5085
    PAYLOAD_DIGESTS = 5092
    PAYLOAD_DIGEST_ALGORITHM = 5093


class Sense(IntFlag):
    """What a dependency asks for (lib/rpmds.h)."""

    ANY = 0
    LESS = 1 << 1
    GREATER = 1 << 2
    EQUAL = 1 << 3
    SCRIPT_PRE = 1 << 9
    TRIGGER_IN = 1 << 16
    RPMLIB = 1 << 24


class FileFlag(IntFlag):
    """What a file is to rpm (lib/rpmfiles.h)."""

    NONE = 0
    CONFIG = 1 << 0
    DOC = 1 << 1
    NOREPLACE = 1 << 4
    LICENSE = 1 << 7


_I18N, _INT16, _INT32, _STRING, _BINARY, _STRINGS = 9, 3, 4, 6, 7, 8
_SIGNATURES_REGION, _IMMUTABLE_REGION = 62, 63
_SIG_SHA1, _SIG_SHA256, _SIG_SIZE, _SIG_MD5, _SIG_PAYLOAD_SIZE = 269, 273, 1000, 1004, 1007
_SHA256 = 8
_MAGIC = b"\x8e\xad\xe8\x01\0\0\0\0"
_RPMLIB = (("CompressedFileNames", "3.0.4-1"), ("FileDigests", "4.6.0-1"), ("PayloadFilesHavePrefix", "4.0-1"))
_RICH = ("RichDependencies", "4.12.0-1")

Value: TypeAlias = tuple[int, object]
"""A type of the format with its value: a text, a list of texts or numbers, or bytes."""


@dataclass(frozen=True, kw_only=True)
class Dependency:
    """A name, or a rich dependency in brackets, with a comparison or none."""

    name: str
    sense: Sense = Sense.ANY
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class File:
    """A file, folder or link; ``content`` is a link's target where it is one."""

    path: str
    mode: int
    content: bytes = b""
    user: str = "root"
    group: str = "root"
    flags: FileFlag = FileFlag.NONE


@dataclass(frozen=True, kw_only=True)
class Rpm:
    """A package. Scripts are for /bin/sh; ``trigger`` runs after a transaction that put files below its paths."""

    name: str
    version: str
    release: str
    arch: str
    summary: str
    epoch: int | None = None
    requires: tuple[Dependency, ...] = ()
    provides: tuple[Dependency, ...] = ()
    conflicts: tuple[Dependency, ...] = ()
    recommends: tuple[Dependency, ...] = ()
    files: tuple[File, ...] = ()
    pre: str = ""
    posttrans: str = ""
    trigger: str = ""
    trigger_paths: tuple[str, ...] = field(default=())


def write(package: Rpm, file: Path, *, timestamp: int) -> None:
    """Writes the package file; ``timestamp`` is the time of everything in it, seconds since 1970."""
    files = sorted(package.files, key=lambda one: one.path.encode())
    cpio = b"".join(_cpio(files, timestamp=timestamp))
    payload = gzip.compress(cpio, compresslevel=1, mtime=0)
    tags: dict[int, Value] = {
        **_identity(package, timestamp=timestamp, size=sum(len(one.content) for one in files)),
        **_dependencies(package),
        **_scripts(package),
        **_files(files, timestamp=timestamp),
        Tag.PAYLOAD_FORMAT: (_STRING, "cpio"),
        Tag.PAYLOAD_COMPRESSOR: (_STRING, "gzip"),
        Tag.PAYLOAD_FLAGS: (_STRING, "1"),
        Tag.PAYLOAD_DIGESTS: (_STRINGS, [hashlib.sha256(payload).hexdigest()]),
        Tag.PAYLOAD_DIGEST_ALGORITHM: (_INT32, [_SHA256]),
    }
    header = _header(tags, region=_IMMUTABLE_REGION)
    signature = _header(
        {
            _SIG_SHA1: (_STRING, hashlib.sha1(header, usedforsecurity=False).hexdigest()),
            _SIG_SHA256: (_STRING, hashlib.sha256(header).hexdigest()),
            _SIG_SIZE: (_INT32, [len(header) + len(payload)]),
            _SIG_MD5: (_BINARY, hashlib.md5(header + payload, usedforsecurity=False).digest()),
            _SIG_PAYLOAD_SIZE: (_INT32, [len(cpio)]),
        },
        region=_SIGNATURES_REGION,
    )
    signature += b"\0" * (-len(signature) % 8)
    label = f"{package.name}-{package.version}-{package.release}".encode()[:65]
    lead = struct.pack(">4sBBhh66shh16x", b"\xed\xab\xee\xdb", 3, 0, 0, 1, label, 1, 5)
    file.write_bytes(lead + signature + header + payload)


def _identity(package: Rpm, *, timestamp: int, size: int) -> dict[int, Value]:
    tags: dict[int, Value] = {
        Tag.I18N: (_STRINGS, ["C"]),
        Tag.NAME: (_STRING, package.name),
        Tag.VERSION: (_STRING, package.version),
        Tag.RELEASE: (_STRING, package.release),
        Tag.SUMMARY: (_I18N, [package.summary]),
        Tag.DESCRIPTION: (_I18N, [package.summary]),
        Tag.BUILD_TIME: (_INT32, [timestamp]),
        Tag.BUILD_HOST: (_STRING, "foundry.invalid"),
        Tag.SIZE: (_INT32, [size]),
        Tag.LICENSE: (_STRING, "see the file copyright"),
        Tag.GROUP: (_I18N, ["Unspecified"]),
        Tag.OS: (_STRING, "linux"),
        Tag.ARCH: (_STRING, package.arch),
        Tag.SOURCE_PACKAGE: (_STRING, f"{package.name}-{package.version}-{package.release}.src.rpm"),
        Tag.ENCODING: (_STRING, "utf-8"),
    }
    return tags | ({Tag.EPOCH: (_INT32, [package.epoch])} if package.epoch is not None else {})


def _dependencies(package: Rpm) -> dict[int, Value]:
    is_rich = any(one.name.startswith("(") for one in (*package.requires, *package.recommends))
    features = (*_RPMLIB, _RICH) if is_rich else _RPMLIB
    sense = Sense.RPMLIB | Sense.LESS | Sense.EQUAL
    rpmlib = tuple(Dependency(name=f"rpmlib({name})", sense=sense, version=version) for name, version in features)
    epoch = f"{package.epoch}:" if package.epoch is not None else ""
    itself = Dependency(name=package.name, sense=Sense.EQUAL, version=f"{epoch}{package.version}-{package.release}")
    shell = (Dependency(name="/bin/sh"),) if package.pre or package.posttrans or package.trigger else ()
    rows = (
        ((*package.requires, *shell, *rpmlib), Tag.REQUIRE_NAMES, Tag.REQUIRE_FLAGS, Tag.REQUIRE_VERSIONS),
        ((*package.provides, itself), Tag.PROVIDE_NAMES, Tag.PROVIDE_FLAGS, Tag.PROVIDE_VERSIONS),
        (package.conflicts, Tag.CONFLICT_NAMES, Tag.CONFLICT_FLAGS, Tag.CONFLICT_VERSIONS),
        (package.recommends, Tag.RECOMMEND_NAMES, Tag.RECOMMEND_FLAGS, Tag.RECOMMEND_VERSIONS),
    )
    tags: dict[int, Value] = {}
    for dependencies, names, flags, versions in rows:
        if dependencies:
            tags[names] = (_STRINGS, [one.name for one in dependencies])
            tags[flags] = (_INT32, [int(one.sense) for one in dependencies])
            tags[versions] = (_STRINGS, [one.version for one in dependencies])
    return tags


def _scripts(package: Rpm) -> dict[int, Value]:
    tags: dict[int, Value] = {}
    if package.pre:
        tags |= {Tag.PRE: (_STRING, package.pre), Tag.PRE_PROGRAM: (_STRING, "/bin/sh")}
    if package.posttrans:
        tags |= {Tag.POSTTRANS: (_STRING, package.posttrans), Tag.POSTTRANS_PROGRAM: (_STRING, "/bin/sh")}
    if package.trigger:
        paths = list(package.trigger_paths)
        tags |= {
            Tag.TRIGGER_SCRIPTS: (_STRINGS, [package.trigger]),
            Tag.TRIGGER_PROGRAMS: (_STRINGS, ["/bin/sh"]),
            Tag.TRIGGER_SCRIPT_FLAGS: (_INT32, [0]),
            Tag.TRIGGER_NAMES: (_STRINGS, paths),
            Tag.TRIGGER_INDEXES: (_INT32, [0] * len(paths)),
            Tag.TRIGGER_VERSIONS: (_STRINGS, [""] * len(paths)),
            Tag.TRIGGER_FLAGS: (_INT32, [int(Sense.TRIGGER_IN)] * len(paths)),
            Tag.TRIGGER_PRIORITIES: (_INT32, [1000000]),
        }
    return tags


def _files(files: Sequence[File], *, timestamp: int) -> dict[int, Value]:
    if not files:
        return {}
    parents = [f"{PurePosixPath(one.path).parent}".rstrip("/") + "/" for one in files]
    folders = sorted(set(parents))
    count = len(files)
    return {
        Tag.FILE_SIZES: (_INT32, [len(one.content) for one in files]),
        Tag.FILE_MODES: (_INT16, [one.mode for one in files]),
        Tag.FILE_DEVICE_NUMBERS: (_INT16, [0] * count),
        Tag.FILE_TIMES: (_INT32, [timestamp] * count),
        Tag.FILE_DIGESTS: (_STRINGS, [_digest(one) for one in files]),
        Tag.FILE_LINKS: (_STRINGS, [one.content.decode() if stat.S_ISLNK(one.mode) else "" for one in files]),
        Tag.FILE_FLAGS: (_INT32, [int(one.flags) for one in files]),
        Tag.FILE_USERS: (_STRINGS, [one.user for one in files]),
        Tag.FILE_GROUPS: (_STRINGS, [one.group for one in files]),
        Tag.FILE_VERIFY: (_INT32, [0xFFFFFFFF] * count),
        Tag.FILE_DEVICES: (_INT32, [1] * count),
        Tag.FILE_INODES: (_INT32, list(range(1, count + 1))),
        Tag.FILE_LANGUAGES: (_STRINGS, [""] * count),
        Tag.DIRECTORY_INDEXES: (_INT32, [folders.index(parent) for parent in parents]),
        Tag.BASENAMES: (_STRINGS, [PurePosixPath(one.path).name for one in files]),
        Tag.DIRECTORIES: (_STRINGS, folders),
        Tag.FILE_DIGEST_ALGORITHM: (_INT32, [_SHA256]),
    }


def _digest(file: File) -> str:
    return hashlib.sha256(file.content).hexdigest() if stat.S_ISREG(file.mode) else ""


def _cpio(files: Sequence[File], *, timestamp: int) -> Iterator[bytes]:
    """The payload: an archive in the format newc, without links between files."""
    for number, file in enumerate(files, 1):
        yield _member(f".{file.path}", file.content, mode=file.mode, inode=number, time=timestamp)
    yield _member("TRAILER!!!", b"", mode=0, inode=0, time=0)


def _member(name: str, content: bytes, *, mode: int, inode: int, time: int) -> bytes:
    encoded = name.encode() + b"\0"
    numbers = (inode, mode, 0, 0, 1, time, len(content), 0, 0, 0, 0, len(encoded), 0)
    head = b"070701" + b"".join(b"%08x" % number for number in numbers) + encoded
    head += b"\0" * (-len(head) % 4)
    return head + content + b"\0" * (-len(content) % 4)


def _header(tags: Mapping[int, Value], *, region: int) -> bytes:
    """A header whose content is one region, so that a signature covers all of it."""
    store, entries = bytearray(), []
    for tag, (kind, value) in sorted(tags.items()):
        alignment = {_INT16: 2, _INT32: 4}.get(kind, 1)
        store += b"\0" * (-len(store) % alignment)
        data, count = _stored(kind, value)
        entries.append(struct.pack(">iiii", tag, kind, len(store), count))
        store += data
    total = len(entries) + 1
    first = struct.pack(">iiii", region, _BINARY, len(store), 16)
    store += struct.pack(">iiii", region, _BINARY, -16 * total, 16)
    return _MAGIC + struct.pack(">ii", total, len(store)) + first + b"".join(entries) + bytes(store)


def _stored(kind: int, value: object) -> tuple[bytes, int]:
    """The bytes of a value and how many it counts."""
    if isinstance(value, bytes):
        return value, len(value)
    if isinstance(value, str):
        return value.encode() + b"\0", 1
    assert isinstance(value, list)
    if kind in (_STRINGS, _I18N):
        return b"".join(str(one).encode() + b"\0" for one in value), len(value)
    return struct.pack(f">{len(value)}{'H' if kind == _INT16 else 'I'}", *value), len(value)
