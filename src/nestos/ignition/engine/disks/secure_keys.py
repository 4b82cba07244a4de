"""Volume keys that only the crypto cards of an s390x machine can use: ``cex`` of a volume, by zkey(1)."""

from __future__ import annotations

import binascii
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nestos.ignition.engine.disks.survey import StorageError, Survey, execute
from nestos.ignition.engine.job import Job

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Luks

_REPOSITORY = "etc/zkey/repository"
_COMMON_FILE = "etc/luks/cex.key"  # comes with the image: what it protects is worth nothing without the card
_QUEUES = "sys/bus/ap/devices"
_QUEUE = re.compile(r"[0-9a-f]{2}\.[0-9a-f]{4}")
_REPOSITORY_MODE = 0o700
_BITS = 8


def is_wanted(wanted: Luks) -> bool:
    """True if the volume's key is to be one of these."""
    return wanted.get("cex", {}).get("enabled", False)


def survey(plan: Survey, key: str, wanted: Luks) -> None:
    """Notes what would keep the key from being made."""
    if not is_wanted(wanted):
        return
    device, top = wanted.get("device", ""), plan.job.machine.top
    if not _queues(plan.job):
        hint = "leave cex out, or attach a crypto card in CCA mode, which only s390x machines have"
        plan.problem(f"{key}.cex", device, f"this machine has no such card: none is below /{_QUEUES}", hint=hint)
        return
    for program in ("zkey", "zkey-cryptsetup"):
        plan.need(program, f"{key}.cex")
    if not (top / _COMMON_FILE).is_file():
        hint = "it belongs to images for machines with crypto cards"
        plan.problem(f"{key}.cex", device, f"the image has no file /{_COMMON_FILE}", hint=hint)


def passphrase(job: Job) -> bytes:
    """The one that all such volumes share."""
    return (job.machine.top / _COMMON_FILE).read_bytes()


def _queues(job: Job) -> list[str]:
    """The queues of crypto cards in CCA mode, as zkey names them."""
    found = []
    for path in sorted((job.machine.top / _QUEUES).glob("*")):
        if _QUEUE.search(path.name):
            facts = (path / "uevent").read_text(errors="replace").splitlines()
            if any(fact.partition("=")[2].strip() == "cca" for fact in facts):
                found.append(path.name)
    return found


def _name(wanted: Luks) -> str:
    return f"ignition-luks-{wanted['name']}"


def generate(job: Job, wanted: Luks) -> list[str]:
    """Makes the key; what cryptsetup needs in order to use it."""
    folder = job.machine.top / _REPOSITORY
    folder.mkdir(mode=_REPOSITORY_MODE, parents=True, exist_ok=True)
    words = ["zkey", "generate", "--name", _name(wanted), "--key-type", "CCA-AESCIPHER", "--xts"]
    words += ["--description", f"Secure Key for {wanted['name']} Volume", "--apqns", ",".join(_queues(job))]
    execute(job, words)
    key = folder / f"{_name(wanted)}.skey"
    try:
        bits = key.stat().st_size * _BITS
    except OSError as error:
        raise StorageError(f"zkey made no key at {key}") from error
    return ["--volume-key-file", str(key), "--cipher", "paes-xts-plain64", "--key-size", str(bits)]


def finish(job: Job, wanted: Luks, device: Path, key_file: Path) -> None:
    """Marks the volume as one with such a key, and leaves the key's files for the files stage."""
    execute(job, ["zkey-cryptsetup", "setvp", str(device), "--key-file", str(key_file)])
    state = job.read_state()
    kept = dict(state.get("luksPersistVolumeKeyFiles") or {})
    for suffix in (".info", ".skey"):
        name = f"{_name(wanted)}{suffix}"
        data = (job.machine.top / _REPOSITORY / name).read_bytes()
        kept[name] = "data:;base64," + binascii.b2a_base64(data, newline=False).decode()
    state["luksPersistVolumeKeyFiles"] = kept
    job.write_state(state)
