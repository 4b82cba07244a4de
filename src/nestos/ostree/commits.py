"""What ``ostree`` says about commits, as types. Pure: text in, values out.

The formats are those of ``ostree show``, ``log`` and ``refs`` 2025.2, which print in the C locale for us.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from datetime import datetime

from nestos.base.errors import InvariantError

_CHECKSUM = re.compile(r"[0-9a-f]{64}")
_UNITS = {"byte": 1, "bytes": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_KEY = re.compile(rf"[,\s]*({_QUOTED}):\s*")
_STRING_VALUE = re.compile(rf"<({_QUOTED})>")
_VARIANT_TOKEN = re.compile(rf"{_QUOTED}|[<>]")
# ``show --print-sizes`` rounds to one decimal of the unit; the needed figure is an estimate that must not be too low.
_ROUNDING = 1.06


@dataclass(frozen=True, kw_only=True)
class Commit:
    """The header of one commit. ``parent`` and ``version`` are empty where the commit has none."""

    checksum: str
    parent: str
    timestamp: datetime
    version: str
    subject: str


@dataclass(frozen=True, kw_only=True)
class MissingObjects:
    """What a pull of a commit would still fetch: objects, bytes on the wire (at most), bytes on disk (at least)."""

    count: int
    fetched_bytes: int
    stored_bytes: int


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Paths of one tree against an older one, each absolute and in the order ostree prints them."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    modified: tuple[str, ...]


def is_checksum(text: str) -> bool:
    """True for a whole commit checksum: 64 lower-case hexadecimal digits."""
    return _CHECKSUM.fullmatch(text) is not None


def parse_log(text: str) -> list[Commit]:
    """The commits of ``ostree log`` or ``ostree show``, newest first."""
    starts = [match.start() for match in re.finditer(r"^commit [0-9a-f]{64}$", text, flags=re.MULTILINE)]
    return [_parse_one(text[start:end]) for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]


def _parse_one(text: str) -> Commit:
    header, _, body = text.partition("\n\n")
    lines = header.splitlines()
    fields = {key: value.strip() for key, _, value in (line.partition(":") for line in lines[1:])}
    try:
        timestamp = datetime.strptime(fields["Date"], "%Y-%m-%d %H:%M:%S %z")
    except (KeyError, ValueError) as error:
        raise InvariantError(f"ostree printed a commit this program cannot read: {header!r}") from error
    subject = body.strip("\n").split("\n", 1)[0].strip()
    return Commit(
        checksum=lines[0].removeprefix("commit "),
        parent=fields.get("Parent", ""),
        timestamp=timestamp,
        version=fields.get("Version", ""),
        subject="" if subject == "(no subject)" else subject,
    )


def parse_string(text: str) -> str:
    """A metadata value printed as GVariant text (``'...'`` or ``"..."`` with C escapes); others as they are printed.

    GVariant's string escapes are a subset of Python's (glib, gvariant.c, ``g_variant_print_string``).
    """
    text = text.strip()
    if text[:1] not in {"'", '"'}:
        return text
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError) as error:
        raise InvariantError(f"ostree printed a string this program cannot read: {text[:80]}") from error
    return value if isinstance(value, str) else text


def parse_metadata(text: str) -> dict[str, str]:
    """The string values in the metadata dictionary that ``ostree log --raw`` prints of its first commit.

    Values of other types are skipped. One process tells all, where ``show --print-metadata-key`` takes one per key.
    """
    start = text.find("({")
    if start < 0:
        raise InvariantError(f"ostree printed a commit this program cannot read: {text[:80]!r}")
    found, position = {}, start + 2
    while (key := _KEY.match(text, position)) is not None:
        value = _STRING_VALUE.match(text, key.end())
        if value is not None:
            found[parse_string(key[1])] = parse_string(value[1])
        position = value.end() if value is not None else _end_of_variant(text, key.end())
    return found


def _end_of_variant(text: str, start: int) -> int:
    """Where the variant ``<...>`` that begins at ``start`` ends, with the comma behind it."""
    depth = 0
    for token in _VARIANT_TOKEN.finditer(text, start):
        depth += {"<": 1, ">": -1}.get(token[0], 0)
        if depth == 0:
            return token.end()
    raise InvariantError("ostree printed commit metadata without an end")


def parse_sizes(text: str) -> MissingObjects:
    """The "needed" half of ``ostree show --print-sizes``, rounded up."""
    found = dict(re.findall(r"^(Compressed|Unpacked) size \(needed/total\): ([^/]+)/", text, flags=re.MULTILINE))
    count = re.search(r"^Number of objects \(needed/total\): (\d+)/", text, flags=re.MULTILINE)
    if count is None or len(found) != 2:
        raise InvariantError(f"ostree printed sizes this program cannot read: {text[:200]!r}")
    return MissingObjects(
        count=int(count[1]), fetched_bytes=_size(found["Compressed"]), stored_bytes=_size(found["Unpacked"])
    )


def _size(text: str) -> int:
    """Bytes of a size as glib formats it: ``0 bytes``, ``200.5 kB`` (the space may be a no-break one)."""
    number, unit = text.split()
    try:
        return int(float(number) * _UNITS[unit] * _ROUNDING)
    except (KeyError, ValueError) as error:
        raise InvariantError(f"ostree printed a size this program cannot read: {text!r}") from error


def parse_refs(text: str) -> dict[str, str]:
    """Ref to checksum, from ``ostree refs --revision``."""
    return dict(line.split("\t", 1) for line in text.splitlines() if "\t" in line)


def parse_diff(text: str) -> Difference:
    """Paths by kind, from ``ostree diff``."""
    found: dict[str, list[str]] = {"A": [], "D": [], "M": []}
    for line in text.splitlines():
        kind, _, path = line.partition(" ")
        if kind in found and path.strip():
            found[kind].append(path.lstrip(" "))
    return Difference(added=tuple(found["A"]), removed=tuple(found["D"]), modified=tuple(found["M"]))
