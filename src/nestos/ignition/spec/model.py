"""The newest specification as types: what the engine is given. Plain JSON data at run time."""

from __future__ import annotations

from typing import Required, TypedDict


class Header(TypedDict, total=False):
    """An HTTP header; one without a value removes that of a parent config."""

    name: Required[str]
    value: str


class Verification(TypedDict, total=False):
    """``hash``: function, dash, digest in hexadecimal."""

    hash: str


class Resource(TypedDict, total=False):
    """Something to fetch. No source: nothing is said; an empty one: empty contents."""

    source: str
    compression: str
    httpHeaders: list[Header]
    verification: Verification


class ConfigReferences(TypedDict, total=False):
    """Other configs that this one stands on."""

    merge: list[Resource]
    replace: Resource


class Timeouts(TypedDict, total=False):
    """In seconds; 0 is unlimited."""

    httpResponseHeaders: int
    httpTotal: int


class Tls(TypedDict, total=False):
    """Authorities trusted besides the system's."""

    certificateAuthorities: list[Resource]


class Security(TypedDict, total=False):
    """What is trusted."""

    tls: Tls


class Proxy(TypedDict, total=False):
    """Proxies for fetching."""

    httpProxy: str
    httpsProxy: str
    noProxy: list[str]


class Ignition(TypedDict, total=False):
    """About the config itself."""

    version: Required[str]
    config: ConfigReferences
    timeouts: Timeouts
    security: Security
    proxy: Proxy


class KernelArguments(TypedDict, total=False):
    """Arguments of the kernel to have and not to have."""

    shouldExist: list[str]
    shouldNotExist: list[str]


class User(TypedDict, total=False):
    """An account."""

    name: Required[str]
    passwordHash: str
    sshAuthorizedKeys: list[str]
    uid: int
    gecos: str
    homeDir: str
    noCreateHome: bool
    primaryGroup: str
    groups: list[str]
    noUserGroup: bool
    system: bool
    noLogInit: bool
    shell: str
    shouldExist: bool


class Group(TypedDict, total=False):
    """A group of accounts."""

    name: Required[str]
    gid: int
    passwordHash: str
    system: bool
    shouldExist: bool


class Passwd(TypedDict, total=False):
    """Accounts."""

    users: list[User]
    groups: list[Group]


class NodeOwner(TypedDict, total=False):
    """A user or group, by number or by name."""

    id: int
    name: str


class Node(TypedDict, total=False):
    """What files, directories and links have in common."""

    path: Required[str]
    overwrite: bool
    user: NodeOwner
    group: NodeOwner


class Directory(Node, total=False):
    """A directory."""

    mode: int


class File(Node, total=False):
    """A regular file."""

    mode: int
    contents: Resource
    append: list[Resource]


class Link(Node, total=False):
    """A symbolic or hard link."""

    target: str
    hard: bool


class Partition(TypedDict, total=False):
    """A partition of a disk. No ``startMiB`` or ``sizeMiB``: as it is; 0: as much as there is room for."""

    number: int
    label: str
    startMiB: int
    sizeMiB: int
    typeGuid: str
    guid: str
    wipePartitionEntry: bool
    shouldExist: bool
    resize: bool


class Disk(TypedDict, total=False):
    """A disk with a partition table."""

    device: Required[str]
    wipeTable: bool
    partitions: list[Partition]


class Raid(TypedDict, total=False):
    """An array of disks."""

    name: Required[str]
    level: str
    devices: list[str]
    spares: int
    options: list[str]


class Tang(TypedDict, total=False):
    """A server that helps to unlock a volume."""

    url: Required[str]
    thumbprint: str
    advertisement: str


class CustomPin(TypedDict, total=False):
    """A pin of clevis and what it is to be given."""

    pin: str
    config: str
    needsNetwork: bool


class Clevis(TypedDict, total=False):
    """What unlocks a volume without a key."""

    tang: list[Tang]
    tpm2: bool
    threshold: int
    custom: CustomPin


class Cex(TypedDict, total=False):
    """A volume key that only the crypto card of an s390x machine can use."""

    enabled: bool


class Luks(TypedDict, total=False):
    """An encrypted volume."""

    name: Required[str]
    device: str
    keyFile: Resource
    label: str
    uuid: str
    options: list[str]
    wipeVolume: bool
    clevis: Clevis
    discard: bool
    openOptions: list[str]
    cex: Cex


class Filesystem(TypedDict, total=False):
    """A file system, and where it is mounted."""

    device: Required[str]
    format: str
    path: str
    label: str
    uuid: str
    wipeFilesystem: bool
    options: list[str]
    mountOptions: list[str]


class Storage(TypedDict, total=False):
    """Disks, and what is on them."""

    disks: list[Disk]
    raid: list[Raid]
    luks: list[Luks]
    filesystems: list[Filesystem]
    files: list[File]
    directories: list[Directory]
    links: list[Link]


class Dropin(TypedDict, total=False):
    """A piece of configuration for a unit."""

    name: Required[str]
    contents: str


class Unit(TypedDict, total=False):
    """A systemd unit."""

    name: Required[str]
    enabled: bool
    mask: bool
    contents: str
    dropins: list[Dropin]


class Systemd(TypedDict, total=False):
    """Units."""

    units: list[Unit]


class Config(TypedDict, total=False):
    """A whole config."""

    ignition: Required[Ignition]
    kernelArguments: KernelArguments
    passwd: Passwd
    storage: Storage
    systemd: Systemd
