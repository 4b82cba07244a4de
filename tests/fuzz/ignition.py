"""Ignition configs that were damaged at random: whatever comes, there is a report and never an exception.

    python3 -m tests.fuzz.ignition --inputs=1000000

What a config that is accepted must be besides: translated to one that is accepted itself, and stays as it is.
An input that breaks one of these is printed so that it can be pasted into a test.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from nestos.base.report import Severity
from nestos.ignition.spec.merge import merged
from nestos.ignition.spec.parse import parse, validate
from nestos.ignition.spec.versions import VERSIONS

DATA = Path(__file__).parents[1] / "unit/ignition/spec/data"
_WORDS = (
    b"null", b"true", b"-1", b"0", b"1e9", b"9223372036854775808", b'""', b"{}", b"[]", b'"\\ud800"', b'"\\u0000"',
    b'"data:,%zz"', b'"http://[::1"', b'"/a/../b"', b"\xff", b"\xef\xbb\xbf", b"\\", b'"', b"{", b"}", b"[", b"]", b",",
    b":", b"\n", b'"ignition"', b'"version"', b'"3.7.0-experimental"', b'"@.service"', b'"contents": "[Install]\\n"',
)  # fmt: skip
_LONGEST = 4000
_REQUIRED_LATER = {"link target is required", "source is required"}
"""What the first versions did not ask for, so that a config of theirs may come without it."""


class BrokenPromiseError(AssertionError):
    """An input that was not met as it should be."""


def corpus() -> list[bytes]:
    """Configs of every kind and version: those of the tables of tests, and small ones of every section."""
    texts = [case["text"] for case in json.loads((DATA / "reports.json").read_text())]
    for case in json.loads((DATA / "merges.json").read_text()):
        texts += [json.dumps({**case[name], **_version(case[name])}) for name in ("parent", "child", "merged")]
    for case in json.loads((DATA / "findings.json").read_text()):
        texts += [json.dumps({**case["sections"], **_version(case["sections"], name)}) for name in _names()]
    return sorted({text.encode() for text in texts})


def _names() -> list[str]:
    return [version.name for version in VERSIONS]


def _version(config: dict[str, object], name: str = "3.6.0") -> dict[str, object]:
    ignition = config.get("ignition", {})
    assert isinstance(ignition, dict)
    return {"ignition": {**ignition, "version": name}}


def inputs(count: int, *, seed: int) -> Iterator[bytes]:
    """``count`` texts, the same ones for the same seed."""
    chance = random.Random(seed)
    texts = corpus()
    for _ in range(count):
        data = chance.choice(texts)
        for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
            data = _damaged(data, texts, chance)
        yield data[:_LONGEST]


def _damaged(data: bytes, texts: Sequence[bytes], chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    to = min(len(data), at + chance.choice((1, 1, 2, 5, 20)))
    kind = chance.randrange(7)
    if kind == 0:
        return data[:at] + data[to:]
    if kind == 1:
        return data[:at] + data[at:to] * chance.choice((2, 3, 50)) + data[to:]
    if kind == 2:
        return data[:at] + bytes((chance.randrange(256),)) + data[at + 1 :]
    if kind == 3:
        return data[:at] + chance.choice(_WORDS) + data[chance.choice((at, to)) :]
    if kind == 4:
        other = chance.choice(texts)
        return data[:at] + other[chance.randrange(len(other) + 1) :]
    tokens = data.split(b'"')  # every second one is a string
    if len(tokens) < 3:
        return data
    place = chance.randrange(1, len(tokens), 2)
    if kind == 5:
        other_tokens = chance.choice(texts).split(b'"')
        tokens[place] = chance.choice(other_tokens[1::2] or [b""])
    else:
        tokens[place] = tokens[chance.randrange(1, len(tokens), 2)]
    return b'"'.join(tokens)


def check(data: bytes) -> str:
    """What became of one input: ``accepted``, ``refused`` or ``hopeless``. Raises ``BrokenPromiseError``."""
    parsed = parse(data)
    str(parsed.report).encode()
    if parsed.config is None:
        if not parsed.report.is_fatal:
            raise BrokenPromiseError("refused without an error")
        return "hopeless" if parsed.problem else "refused"
    if parsed.report.is_fatal:
        raise BrokenPromiseError("accepted with an error")
    again = parse(json.dumps(parsed.config).encode())
    left_out = {finding.message for finding in again.report if finding.severity is Severity.ERROR}
    if again.config != parsed.config and not (left_out and left_out <= _REQUIRED_LATER):
        raise BrokenPromiseError(f"what it was translated to is not accepted as it is: {again.report}")
    whole = validate(merged({"ignition": {"version": VERSIONS[-1].name}}, parsed.config))
    if {finding.message for finding in whole if finding.severity is Severity.ERROR} - _REQUIRED_LATER:
        raise BrokenPromiseError("merged with nothing it is not valid any more")
    return "accepted"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what became of the inputs; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="other inputs for other numbers (default: %(default)s)")
    given = parser.parse_args(arguments)
    began = time.monotonic()
    found: Counter[str] = Counter()
    for data in inputs(given.inputs, seed=given.seed):
        try:
            found[check(data)] += 1
        except Exception as error:  # whatever it is, the input must be seen
            found["broken"] += 1
            sys.stdout.write(f"{type(error).__name__}: {error}\n  {data!r}\n")
    seconds = time.monotonic() - began
    told = ", ".join(f"{count} {name}" for name, count in sorted(found.items()))
    sys.stdout.write(f"{given.inputs} inputs in {seconds:.0f} s: {told}\n")
    return 1 if found["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
