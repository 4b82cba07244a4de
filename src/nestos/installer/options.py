"""The options of an installation: one table for the command line, config files and kernel arguments.

Three stages: what each place says (``Given``), merged (later places win; lists of the last place that has one), and
``Settings``, checked and frozen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from nestos.base.errors import InputError
from nestos.base.report import nearest
from nestos.installer import partitions
from nestos.installer.dropin import Value
from nestos.installer.partitions import NOTHING_SAVED, Filter

Given = Mapping[str, Value]
"""Option (long name) to value, as one place says it."""


class Kind(Enum):
    """How often an option is given, and whether it has a value."""

    TEXT = "text"
    LIST = "list"
    FLAG = "flag"


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option of ``install``. ``short`` is its letter on the command line."""

    kind: Kind
    help: str
    metavar: str = ""
    short: str = ""


OPTIONS: Mapping[str, Option] = {
    "stream": Option(kind=Kind.TEXT, short="s", metavar="NAME", help="stream to take the image from"),
    "image-url": Option(kind=Kind.TEXT, short="u", metavar="URL", help="image to install; its signature is URL.sig"),
    "image-file": Option(kind=Kind.TEXT, short="f", metavar="PATH", help="image to install; its signature is PATH.sig"),
    "ignition-file": Option(kind=Kind.TEXT, short="i", metavar="PATH", help="Ignition config of the installed system"),
    "ignition-url": Option(kind=Kind.TEXT, short="I", metavar="URL", help="the same, fetched now"),
    "ignition-hash": Option(kind=Kind.TEXT, metavar="TYPE-HEX", help="sha256- or sha512- digest of the config"),
    "architecture": Option(kind=Kind.TEXT, short="a", metavar="NAME", help="of the installed system"),
    "platform": Option(kind=Kind.TEXT, short="p", metavar="NAME", help="Ignition platform of the installed system"),
    "console": Option(kind=Kind.LIST, metavar="SPEC", help="kernel and boot loader console, such as ttyS0,115200n8"),
    "append-karg": Option(kind=Kind.LIST, metavar="ARG", help="kernel argument of the installed system"),
    "delete-karg": Option(kind=Kind.LIST, metavar="ARG", help="default kernel argument to take away"),
    "copy-network": Option(kind=Kind.FLAG, short="n", help="copy this system's network configuration"),
    "network-dir": Option(kind=Kind.TEXT, metavar="PATH", help="where --copy-network finds it"),
    "save-partlabel": Option(kind=Kind.LIST, metavar="GLOB", help="keep partitions with such a label"),
    "save-partindex": Option(kind=Kind.LIST, metavar="N-M", help="keep partitions with these numbers"),
    "offline": Option(kind=Kind.FLAG, help="install from this live system itself, and use no network"),
    "insecure": Option(kind=Kind.FLAG, help="accept an image without a signature"),
    "insecure-ignition": Option(kind=Kind.FLAG, help="accept an Ignition URL without HTTPS or hash"),
    "stream-base-url": Option(kind=Kind.TEXT, metavar="URL", help="folder with the metadata of streams"),
    "preserve-on-error": Option(kind=Kind.FLAG, help="leave the partition table of a failed installation"),
    "fetch-retries": Option(kind=Kind.TEXT, metavar="N", help='retries of a fetch, or "infinite" (default: 0)'),
    "firstboot-args": Option(kind=Kind.TEXT, metavar="ARGS", help="kernel arguments of the first boot only"),
    "keyring": Option(kind=Kind.LIST, metavar="PATH", help="keys to trust besides the system's own"),
    "dest-device": Option(kind=Kind.TEXT, metavar="DEVICE", help="the disk to install to"),
}

NETWORK_DIR = Path("/etc/systemd/network")
_DIGEST = re.compile(r"(sha256)-[0-9a-f]{64}|(sha512)-[0-9a-f]{128}")
_PLATFORM = re.compile(r"[a-z0-9-]+")
CONSOLE = re.compile(r"(?P<device>tty[A-Za-z]*\d+|hvc\d+)(?:,(?P<speed>\d+)(?P<rest>[neo][5-8]?r?)?)?")
"""What the kernel takes after ``console=`` (admin-guide/serial-console)."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """An installation as it is going to be. One of ``stream``, ``image_url``, ``image_file`` and ``is_offline``."""

    device: Path
    stream: str = ""
    image_url: str = ""
    image_file: Path | None = None
    is_offline: bool = False
    """From the live system itself."""
    ignition_file: Path | None = None
    ignition_url: str = ""
    ignition_hash: str = ""
    architecture: str
    platform: str = ""
    """Empty: the image's own."""
    consoles: tuple[str, ...] = ()
    append_kargs: tuple[str, ...] = ()
    delete_kargs: tuple[str, ...] = ()
    network_dir: Path | None = None
    """None: no network configuration is copied."""
    saved: Filter = NOTHING_SAVED
    is_insecure: bool = False
    is_ignition_insecure: bool = False
    stream_base_url: str = ""
    preserves_on_error: bool = False
    fetch_retries: int | None = 0
    """None: without end."""
    firstboot_args: str = ""
    keyrings: tuple[Path, ...] = ()


def checked(given: Given, *, source: str) -> Given:
    """``given`` with each value of its option's kind. Raises ``InputError`` for unknown names and wrong kinds."""
    found: dict[str, Value] = {}
    for name, value in given.items():
        option = OPTIONS.get(name)
        if option is None:
            raise InputError(f"{source}: there is no option {name}{nearest(name, OPTIONS)}")
        plain = [value] if option.kind is Kind.LIST and isinstance(value, str) else value
        fits = {Kind.TEXT: str, Kind.LIST: list, Kind.FLAG: bool}[option.kind]
        if not isinstance(plain, fits):
            wanted = {Kind.TEXT: "a text", Kind.LIST: "a list of texts", Kind.FLAG: "true or false"}[option.kind]
            raise InputError(f"{source}: {name} takes {wanted}")
        found[name] = plain
    return found


def merged(places: Iterable[Given]) -> Given:
    """All places in one; of two that say the same option, the later counts."""
    whole: dict[str, Value] = {}
    for place in places:
        whole |= place
    return whole


def settings(given: Given, *, machine: str, is_live: bool = False) -> Settings:
    """The settings that follow; ``machine``: this one's architecture; ``is_live``: this is a live system.

    Raises ``InputError`` for what cannot be.
    """
    text = {name: str(value) for name, value in given.items() if isinstance(value, str)}
    lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    flags = {name for name, value in given.items() if value is True}
    if not text.get("dest-device"):
        raise InputError("no disk to install to is named", hint="give it last: nestos-installer install /dev/sda")
    sources = [name for name in ("stream", "image-url", "image-file") if text.get(name)]
    is_offline = "offline" in flags or (is_live and not sources)
    if not sources and not is_offline:
        raise InputError("no image is named", hint="give --image-file, --image-url or --stream")
    if "offline" in flags:
        _check_offline(text, sources, is_live=is_live)
    if len(sources) > 1:
        raise InputError(f"one image at a time: {' and '.join(f'--{name}' for name in sources)} exclude each other")
    if text.get("ignition-file") and text.get("ignition-url"):
        raise InputError("--ignition-file and --ignition-url exclude each other")
    _check_words(text, lists)
    _check_ignition_url(text, is_insecure="insecure-ignition" in flags)
    return Settings(
        device=Path(text["dest-device"]),
        stream=text.get("stream", ""),
        image_url=text.get("image-url", ""),
        image_file=_path(text.get("image-file")),
        is_offline=is_offline,
        ignition_file=_path(text.get("ignition-file")),
        ignition_url=text.get("ignition-url", ""),
        ignition_hash=text.get("ignition-hash", ""),
        architecture=text.get("architecture", machine),
        platform=text.get("platform", ""),
        consoles=lists.get("console", ()),
        append_kargs=lists.get("append-karg", ()),
        delete_kargs=lists.get("delete-karg", ()),
        network_dir=Path(text.get("network-dir", NETWORK_DIR)) if "copy-network" in flags else None,
        saved=partitions.parse_filter(lists.get("save-partlabel", ()), lists.get("save-partindex", ())),
        is_insecure="insecure" in flags,
        is_ignition_insecure="insecure-ignition" in flags,
        stream_base_url=text.get("stream-base-url", ""),
        preserves_on_error="preserve-on-error" in flags,
        fetch_retries=retries(text.get("fetch-retries", "0")),
        firstboot_args=text.get("firstboot-args", ""),
        keyrings=tuple(Path(item) for item in lists.get("keyring", ())),
    )


def retries(text: str) -> int | None:
    """How often a fetch is tried again; none for ``infinite``."""
    if text == "infinite":
        return None
    if not text.isdecimal():
        raise InputError(f'--fetch-retries={text}: expected a number or "infinite"')
    return int(text)


def _check_offline(text: Mapping[str, str], sources: list[str], *, is_live: bool) -> None:
    if not is_live:
        raise InputError("--offline installs from a live system, and this is none", hint="name an image")
    for name in [*sources, *(["ignition-url"] if text.get("ignition-url") else [])]:
        raise InputError(f"--offline and --{name} exclude each other")


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _check_words(text: Mapping[str, str], lists: Mapping[str, tuple[str, ...]]) -> None:
    if text.get("ignition-hash") and not _DIGEST.fullmatch(text["ignition-hash"]):
        raise InputError("--ignition-hash is sha256- or sha512- and the digest in small hexadecimal digits")
    if text.get("platform") and not _PLATFORM.fullmatch(text["platform"]):
        raise InputError(f"--platform={text['platform']}: expected small letters, digits and dashes")
    for console in lists.get("console", ()):
        if not CONSOLE.fullmatch(console):
            raise InputError(f"--console={console}: expected a console such as tty0 or ttyS0,115200n8")
    for name in ("append-karg", "delete-karg"):
        for karg in lists.get(name, ()):
            if not karg.strip() or "\n" in karg:
                raise InputError(f"--{name}={karg!r} is no kernel argument")


def _check_ignition_url(text: Mapping[str, str], *, is_insecure: bool) -> None:
    url = text.get("ignition-url", "")
    if not url:
        return
    if not url.startswith(("https://", "http://")):
        raise InputError(f"--ignition-url={url}: expected an address of HTTPS or HTTP")
    if url.startswith("http://") and not text.get("ignition-hash") and not is_insecure:
        raise InputError(
            f"{url} can be changed by anyone on the way",
            hint="use https, or give --ignition-hash, or accept it with --insecure-ignition",
        )
