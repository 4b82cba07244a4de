"""LUKS volumes: which are kept, which are made, opened for the later stages, and bound to what unlocks them.

Keys are in files below the folder of the state file, which is in memory, and only while a volume is worked on. What
the files stage has to leave in the root goes there through the state.
"""

from __future__ import annotations

import binascii
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from nestos.ignition.engine.disks import clevis, devices, leftovers, secure_keys
from nestos.ignition.engine.disks.filesystems import comes_later
from nestos.ignition.engine.disks.signatures import Signature, signature_of
from nestos.ignition.engine.disks.survey import StorageError, Survey, execute, sentence
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.transport import Transport, fetch_bytes, named

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Luks

_RANDOM_BYTES = 4096
_KEY_MODE = 0o400
_WRONG_KEY = 2  # exit code of cryptsetup
_LUKS1, _LUKS2 = 1, 2


class Action(Enum):
    """What becomes of what is on a device."""

    KEEP = "opened as it is"
    MAKE = "made"
    REFUSE = "refused"


@dataclass(frozen=True, kw_only=True)
class Present:
    """What is on a device. ``version``: of LUKS, 0 where it is something else. The rest is of LUKS 2 alone."""

    version: int
    signature: Signature
    discards: bool = False
    key_opens: bool = False


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A volume of the config, its place there, and its key, if it is to have one that somebody knows."""

    key: str
    wanted: Luks
    secret: bytes
    is_own_secret: bool

    @property
    def device(self) -> str:
        return self.wanted.get("device", "")


def decide(present: Present, wanted: Luks) -> tuple[Action, str]:
    """Whether what is there will do, makes way, or stands in the way, and then why."""
    if wanted.get("wipeVolume"):
        return Action.MAKE, ""
    if present.version == 0:
        if not present.signature.kind:
            return Action.MAKE, ""
        return Action.REFUSE, f"it holds {present.signature}"
    if present.version == _LUKS1:
        return Action.REFUSE, "it holds a volume of LUKS 1, and only LUKS 2 can be kept"
    reason = _reason_against(present, wanted)
    return (Action.REFUSE, f"its volume cannot be kept: {reason}") if reason else (Action.KEEP, "")


def _reason_against(present: Present, wanted: Luks) -> str:
    """Why a volume of LUKS 2 cannot be kept, or the empty string."""
    label, uuid, discard = wanted.get("label"), wanted.get("uuid"), wanted.get("discard", False)
    if clevis.is_wanted(wanted):
        return "what clevis bound it to cannot be compared with the config"
    if not wanted.get("keyFile", {}).get("source"):
        return "the config has no keyFile to open it with"
    if label is not None and label != present.signature.label:
        return f'its label is "{present.signature.label}", not "{label}"'
    if uuid is not None and uuid.lower() != present.signature.uuid.lower():
        return f"its UUID is {present.signature.uuid}, not {uuid}"
    if discard is not present.discards:
        return f"it has discard {_onoff(present.discards)}, not {_onoff(discard)}"
    return "" if present.key_opens else "the key in keyFile does not open it"


def _onoff(value: bool) -> str:
    return "on" if value else "off"


def format_command(wanted: Luks, device: Path, key_file: Path) -> list[str]:
    """What makes the volume."""
    words = ["cryptsetup", "luksFormat", "--batch-mode", "--type", "luks2", "--key-file", str(key_file)]
    if wanted.get("label"):
        words += ["--label", wanted["label"]]
    if wanted.get("uuid"):
        words += ["--uuid", wanted["uuid"]]
    return [*words, *wanted.get("options", []), str(device)]


def open_command(wanted: Luks, device: Path, key_file: Path) -> list[str]:
    """What opens the volume; the options become part of it, because clevis and crypttab could not give them later."""
    words = ["cryptsetup", "luksOpen", str(device), wanted["name"], "--key-file", str(key_file), "--persistent"]
    if wanted.get("discard"):
        words.append("--allow-discards")
    return [*words, *wanted.get("openOptions", [])]


def survey(plan: Survey, volumes: Sequence[Luks]) -> None:
    """Plans every volume; fetches keys, and asks servers that will be needed, before anything is written."""
    if not volumes:
        return
    transport = Transport.of(plan.job).configured(plan.job.read_config())
    for index, wanted in enumerate(volumes):
        key, device = f"$.storage.luks.{index}", wanted.get("device", "")
        before = len(plan.problems)
        for program in ("cryptsetup", "blkid", "wipefs"):
            plan.need(program, key)
        clevis.survey(plan, key, wanted, transport=transport)
        secure_keys.survey(plan, key, wanted)
        mapper = plan.job.machine.top / "dev/mapper" / wanted["name"]
        if mapper.exists():
            plan.problem(f"{key}.name", device, f"{mapper} exists already", hint="choose another name")
        if len(plan.problems) > before:
            continue
        with plan.noting(key, device):
            _survey_volume(plan, _volume(plan.job, key, wanted, transport=transport))


def _volume(job: Job, key: str, wanted: Luks, *, transport: Transport) -> Volume:
    source = wanted.get("keyFile", {})
    if secure_keys.is_wanted(wanted):
        return Volume(key=key, wanted=wanted, secret=secure_keys.passphrase(job), is_own_secret=False)
    if not source.get("source"):
        # Digits, because clevis cannot read a key with any byte whatever.
        random = binascii.hexlify(os.urandom(_RANDOM_BYTES))
        return Volume(key=key, wanted=wanted, secret=random, is_own_secret=True)
    with named(f"{key}.keyFile.source"):
        secret = fetch_bytes(source, transport=transport)
    if not secret:
        hint = "give it contents, or leave keyFile out to have a key made"
        raise StorageError(sentence(f"{key}.keyFile", wanted.get("device"), "the key is empty", hint=hint))
    return Volume(key=key, wanted=wanted, secret=secret, is_own_secret=False)


def _survey_volume(plan: Survey, volume: Volume) -> None:
    job, name = plan.job, volume.wanted["name"]
    if comes_later(plan, volume.device):
        told = f"the volume {name} is made on {volume.device}, unless it is there"
        plan.step(told, act=lambda: _carry_out(job, volume, action=None))
        return
    devices.wait(job, [volume.device], keys=[f"{volume.key}.device"])
    action = _action(job, volume)
    device = devices.resolved(volume.device)
    use = devices.use_of(job, device)
    if use:
        found = f"it is {use}, and the volume {name} is to be {action.value}"
        raise StorageError(sentence(volume.key, volume.device, found, hint="name a device that is not in use"))
    plan.rewritten.add(device)
    plan.new_names = True
    told = f"the volume {name} on {volume.device} is {action.value}"
    if action is Action.MAKE and clevis.is_wanted(volume.wanted):
        told += f" and bound by clevis to {clevis.told(volume.wanted)}"
    plan.step(told, act=lambda: _carry_out(job, volume, action=action))


def _action(job: Job, volume: Volume) -> Action:
    """What is to be done. Raises ``StorageError`` if what is there can neither be kept nor erased."""
    if volume.wanted.get("wipeVolume"):
        return Action.MAKE
    device = devices.resolved(volume.device)
    action, reason = decide(_present(job, device, volume.secret), volume.wanted)
    if action is Action.REFUSE:
        hint = "set wipeVolume to have it erased, which loses its contents"
        raise StorageError(sentence(volume.key, volume.device, reason, hint=hint))
    return action


def _present(job: Job, device: Path, secret: bytes) -> Present:
    signature = signature_of(job, device)
    if execute(job, ["cryptsetup", "isLuks", "--type", "luks2", str(device)], accepted=(0, 1)).returncode:
        is_first = execute(job, ["cryptsetup", "isLuks", str(device)], accepted=(0, 1)).returncode == 0
        return Present(version=_LUKS1 if is_first else 0, signature=signature)
    dump = execute(job, ["cryptsetup", "luksDump", "--dump-json-metadata", str(device)]).stdout
    flags = json.loads(dump).get("config", {}).get("flags", [])
    with _key_file(job, secret) as key_file:
        trial = ["cryptsetup", "luksOpen", "--test-passphrase", "--key-file", str(key_file), str(device)]
        opens = execute(job, trial, accepted=(0, 1, _WRONG_KEY)).returncode == 0
    return Present(version=_LUKS2, signature=signature, discards="allow-discards" in flags, key_opens=opens)


@contextmanager
def _key_file(job: Job, secret: bytes) -> Iterator[Path]:
    """A file with ``secret``, readable for root alone, while the block lasts."""
    folder = job.settings.state_file.parent
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"luks-key.{os.getpid()}"
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _KEY_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret)
        yield path
    finally:
        path.unlink(missing_ok=True)


def _carry_out(job: Job, volume: Volume, *, action: Action | None) -> None:
    """Makes or opens the volume; ``action`` is none where what is there could not be known before."""
    wanted, name = volume.wanted, volume.wanted["name"]
    devices.wait(job, [volume.device], keys=[f"{volume.key}.device"])
    device = devices.resolved(volume.device)
    chosen = action or _action(job, volume)
    keeps_secret = True
    with _key_file(job, volume.secret) as key_file:
        if chosen is Action.MAKE:
            leftovers.note(job, [volume.device])
            _make(job, wanted, device, key_file)
        execute(job, open_command(wanted, device, key_file))
        if chosen is Action.MAKE and clevis.is_wanted(wanted):
            clevis.bind(job, wanted, device, key_file)
            if volume.is_own_secret:
                # Nobody asked for this key, and from now on clevis opens the volume.
                execute(job, ["cryptsetup", "luksRemoveKey", str(device), str(key_file)])
                keeps_secret = False
    if keeps_secret:
        _hand_on(job, name, volume.secret)
    devices.settle(job, device)


def _make(job: Job, wanted: Luks, device: Path, key_file: Path) -> None:
    if wanted.get("wipeVolume"):
        execute(job, ["wipefs", "--all", str(device)])
    words = format_command(wanted, device, key_file)
    if secure_keys.is_wanted(wanted):
        words += secure_keys.generate(job, wanted)
    execute(job, words)
    if secure_keys.is_wanted(wanted):
        secure_keys.finish(job, wanted, device, key_file)


def _hand_on(job: Job, name: str, secret: bytes) -> None:
    """Leaves the key for the files stage."""
    state = job.read_state()
    url = "data:;base64," + binascii.b2a_base64(secret, newline=False).decode()
    state["luksPersistKeyFiles"] = {**(state.get("luksPersistKeyFiles") or {}), name: url}
    job.write_state(state)
