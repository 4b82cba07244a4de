"""The graph as plain files, for any web server: one folder a stream, architecture and wariness class.

A static server does not read query strings, so what a node would say is in its address: a base URL such as
``https://example.org/graph/${stream}/${basearch}/calm/`` (zincati fills in the names) leads to ``v1/graph`` there. A
rollout then advances when the files are written anew, by a timer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from nestos.base import durable
from nestos.base.errors import InputError
from nestos.updates.answers import Answers
from nestos.updates.graph import Query
from nestos.updates.model import check_name

DEFAULT_CLASSES: Mapping[str, float] = {"eager": 0.0, "early": 0.1, "normal": 0.5, "calm": 1.0}
"""Name to wariness: nodes of a class get a release when its rollout has reached that share."""
_LIST = "exported.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def files(answers: Answers, *, classes: Mapping[str, float], now: int) -> dict[str, bytes]:
    """Path to content of every graph at ``now``."""
    for name, wariness in classes.items():
        if not _NAME.fullmatch(name) or not 0 <= wariness <= 1:
            raise InputError(f'"{name}={wariness}" is no class: NAME=WARINESS, the latter from 0.0 to 1.0')
    answers.advance(now)
    found = {}
    for stream, basearch, is_oci in sorted(answers.scopes):
        # Both are a stranger's words where the folder is a mirror; as parts of a path they could lead out of it.
        check_name(stream, what="stream")
        check_name(basearch, what="architecture")
        for name, wariness in classes.items():
            query = Query(stream=stream, basearch=basearch, is_oci=is_oci, rollout_wariness=f"{wariness:.6f}")
            place = f"{stream}/{basearch}/{name}{'-oci' if is_oci else ''}/v1/graph"
            found[place] = answers.of(query).body.plain
    return found


def write(made: Mapping[str, bytes], target: Path) -> tuple[int, int]:
    """Writes what changed, each file at once, and removes what an earlier call wrote and is no more; how many each."""
    target.mkdir(parents=True, exist_ok=True)
    listing = target / _LIST
    before = json.loads(listing.read_text()) if listing.exists() else []
    # The list first: what is cut off here is cleared away by the next call.
    durable.write_text(listing, json.dumps(sorted({*before, *made}), indent=1) + "\n")
    written = 0
    for name, data in made.items():
        path = target / name
        if not path.is_file() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            durable.write(path, data)
            written += 1
    gone = [name for name in before if name not in made]
    for name in gone:
        (target / name).unlink(missing_ok=True)
    durable.write_text(listing, json.dumps(sorted(made), indent=1) + "\n")
    return written, len(gone)
