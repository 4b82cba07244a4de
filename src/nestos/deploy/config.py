"""The node's configuration, in three stages: fragments (as in the files), merged input, settings.

Files are ``*.conf`` in ini form, read in the order of their names; of two with one name the one in /run, /etc, /usr
wins, in this order, and a link to /dev/null (or an empty file) masks. Later files override earlier ones key by key.
"""

from __future__ import annotations

import configparser
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from nestos.base.errors import InputError
from nestos.base.paths import Root
from nestos.base.report import Finding, Severity, nearest
from nestos.slots.bootstate import DEFAULT_TRIES, MAXIMUM_TRIES

FOLDERS = ("/usr/lib/nestos/nestos.conf.d", "/etc/nestos/nestos.conf.d", "/run/nestos/nestos.conf.d")
KEY_FOLDERS = ("/usr/share/nestos/keys", "/etc/nestos/keys")

_DEFAULT_CHECK_SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class Fragment:
    """One file as it is: section to key to value."""

    source: str
    sections: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Value:
    """A merged value and the file it came from."""

    text: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the node's commands go by.

    ``update_url``: base URL of the OSTree repository, http, https or file; empty: this node has no update source.
    ``update_ref``: the branch followed; empty: the one that the running release came from.
    ``boot_tries``: boots that a new release may attempt before the node goes back, 1 to 3.
    ``check_seconds``: how long one health check may take, in seconds; a check that hangs is one that failed.
    ``soak_seconds``: how long after its first checks a release on trial is checked again; 0: it is not.
    """

    update_url: str = ""
    update_ref: str = ""
    boot_tries: int = DEFAULT_TRIES
    check_seconds: int = _DEFAULT_CHECK_SECONDS
    soak_seconds: int = 0


KNOWN: Mapping[str, tuple[str, ...]] = {"update": ("url", "ref"), "boot": ("tries", "check_seconds", "soak_seconds")}


def files(root: Root) -> list[Path]:
    """The files that count, in the order in which they are read."""
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for path in sorted(root.join(folder).glob("*.conf")):
            found[path.name] = path
    return [found[name] for name in sorted(found)]


def parse(text: str, *, source: str) -> Fragment:
    """Reads one file. Raises ``InputError`` naming the file and line where it is no ini text."""
    parser = configparser.ConfigParser(interpolation=None, strict=True, default_section="", empty_lines_in_values=False)
    try:
        parser.read_string(text, source=source)
    except configparser.Error as error:
        raise InputError(f"{source}: {' '.join(error.message.split())}") from error
    return Fragment(source=source, sections={name: dict(parser[name]) for name in parser.sections()})


def merge(fragments: Iterable[Fragment]) -> dict[tuple[str, str], Value]:
    """Section and key to the last value given."""
    return {
        (section, key): Value(text=text, source=fragment.source)
        for fragment in fragments
        for section, keys in fragment.sections.items()
        for key, text in keys.items()
    }


def settle(merged: Mapping[tuple[str, str], Value]) -> tuple[Settings, list[Finding]]:
    """The settings, and all that is wrong with the input, each with its file; a wrong value has its default."""
    findings: list[Finding] = []
    chosen = Settings()
    values: dict[str, str | int] = {}
    for (section, key), value in merged.items():
        reader = _READERS.get((section, key))
        try:
            if reader is None:
                raise InputError(_unknown(section, key))
            name, read = reader
            values[name] = read(value.text.strip())
        except InputError as error:
            findings.append(
                Finding(severity=Severity.ERROR, message=str(error), path=(section, key), source=value.source)
            )
    fields = {name: values.get(name, getattr(chosen, name)) for name in Settings.__dataclass_fields__}
    settings = Settings(
        update_url=str(fields["update_url"]),
        update_ref=str(fields["update_ref"]),
        boot_tries=int(fields["boot_tries"]),
        check_seconds=int(fields["check_seconds"]),
        soak_seconds=int(fields["soak_seconds"]),
    )
    return settings, findings


def load(root: Root) -> Settings:
    """The settings of the node at ``root``. Raises ``InputError`` with every finding of every file."""
    settings, findings = examine(root)
    if findings:
        raise InputError("\n".join(str(finding) for finding in findings), hint="mend the file named and run it again")
    return settings


def examine(root: Root) -> tuple[Settings, list[Finding]]:
    """As ``load``, with the findings beside usable settings: a boot must not fail over a typing mistake."""
    fragments, findings = [], []
    for path in files(root):
        try:
            fragments.append(parse(path.read_text(encoding="utf-8"), source=str(path)))
        except (OSError, UnicodeDecodeError, InputError) as error:
            findings.append(Finding(severity=Severity.ERROR, message=str(error), source=str(path)))
    settings, more = settle(merge(fragments))
    return settings, [*findings, *more]


def key_folders(root: Root) -> list[Path]:
    """The folders of trusted GPG keys that exist: ostree refuses a name that is not there."""
    return [path for path in (root.join(folder) for folder in KEY_FOLDERS) if path.is_dir()]


def _unknown(section: str, key: str) -> str:
    if section not in KNOWN:
        return f"there is no section [{section}]{nearest(section, KNOWN)}"
    return f'section [{section}] has no key "{key}"{nearest(key, KNOWN[section])}'


def _url(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme not in {"http", "https", "file"} or not (parts.netloc or parts.scheme == "file")):
        raise InputError(f'"{text}" is no http, https or file URL')
    return text.rstrip("/")


def _ref(text: str) -> str:
    if text.startswith(("/", "-")) or any(letter.isspace() or letter in "@:^" for letter in text):
        raise InputError(f'"{text}" is no branch name')
    return text


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise InputError(f'"{text}" is no whole number from {least} to {most}')
        return int(text)

    return read


_READERS: Mapping[tuple[str, str], tuple[str, Callable[[str], str | int]]] = {
    ("update", "url"): ("update_url", _url),
    ("update", "ref"): ("update_ref", _ref),
    ("boot", "tries"): ("boot_tries", _whole(1, MAXIMUM_TRIES)),
    ("boot", "check_seconds"): ("check_seconds", _whole(1, 3600)),
    ("boot", "soak_seconds"): ("soak_seconds", _whole(0, 3600)),
}
