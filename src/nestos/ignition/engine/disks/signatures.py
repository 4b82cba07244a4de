"""What is on a device by its signatures, as blkid(8) finds them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nestos.ignition.engine.disks.survey import StorageError, execute
from nestos.ignition.engine.job import Job

_NOTHING, _AMBIVALENT = 2, 8  # exit codes
_TABLES = ("gpt", "dos", "sun", "sgi", "mac", "bsd", "atari")


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A file system, a volume or a partition table; ``kind`` is empty where there is none."""

    kind: str = ""
    label: str = ""
    uuid: str = ""

    def __str__(self) -> str:
        if not self.kind:
            return "nothing"
        if self.kind in _TABLES:
            return f"a partition table ({self.kind})"
        label = f' labelled "{self.label}"' if self.label else " without a label"
        return f"{self.kind}{label}, UUID {self.uuid or 'unknown'}"


def signature_of(job: Job, device: Path) -> Signature:
    """What ``device`` holds; of several signatures the first, with a warning. Raises ``StorageError``."""
    found, code = _probe(job, device)
    if code != _AMBIVALENT:
        return _signature(found)
    kinds = [word.split(":")[1] for word in found.get("ID_FS_AMBIVALENT", "").split(" ") if word.count(":") > 1]
    if not kinds:
        raise StorageError(f"{device} holds signatures of several kinds, and blkid does not say which")
    job.log.warning(f"{device} holds signatures of several kinds ({', '.join(kinds)}); it is taken for {kinds[0]}")
    found, _ = _probe(job, device, f"--match-types={kinds[0]}")
    return _signature(found)


def _probe(job: Job, device: Path, *options: str) -> tuple[dict[str, str], int]:
    command = ["blkid", "--probe", "--output=udev", *options, str(device)]
    done = execute(job, command, accepted=(0, _NOTHING, _AMBIVALENT))
    if done.returncode == _NOTHING and done.stderr.strip():
        raise StorageError(f"what is on {device} cannot be found out: {done.stderr.strip()}")
    lines = (line.partition("=") for line in done.stdout.splitlines())
    return {name: value for name, equals, value in lines if equals}, done.returncode


def _signature(found: dict[str, str]) -> Signature:
    return Signature(
        # A disk with partitions is not empty: what is wanted there was rather meant for one of them.
        kind=found.get("ID_FS_TYPE") or found.get("ID_PART_TABLE_TYPE", ""),
        label=_plain(found.get("ID_FS_LABEL_ENC", "")),
        uuid=_plain(found.get("ID_FS_UUID_ENC", "")),
    )


def _plain(value: str) -> str:
    """``value`` without the escapes of udev, which stand for bytes."""
    data = re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), value.encode("utf-8", "replace"))
    return data.decode("utf-8", "replace")
