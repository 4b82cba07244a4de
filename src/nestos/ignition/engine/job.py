"""One run of one stage: what it is given, and where configs and state rest between the stages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, cast

from nestos.base import durable
from nestos.base.errors import NestosError, StateError
from nestos.base.paths import Root
from nestos.ignition.engine.log import Log
from nestos.ignition.engine.machine import Machine
from nestos.ignition.engine.settings import Settings

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Config, File

_CACHE_MODE = 0o640  # it holds password hashes and whatever else a config holds
_STATE_MODE = 0o600


class FetchedConfig(TypedDict):
    """A config that took part: ``kind`` is ``base`` or ``user``; ``referenced`` by another one, or found itself."""

    kind: str
    source: str
    referenced: bool


class State(TypedDict, total=False):
    """What stages tell later ones, in the original's form.

    ``fetchedConfigs``: written by fetch and fetch-offline, read by files (result and journal).
    ``luksPersistKeyFiles``: name of a volume to its key as a data URL. Written by disks; files writes the keys below
    the root and then removes them from here. ``luksPersistVolumeKeyFiles``: the same for files of the repository of
    secure keys. ``notatedDirectories``: paths in the root that mount made, the outer before the inner; files gives
    them to the users whose homes they are. ``providerOutputFiles``: written by fetch on the platforms that want files
    of their own, and by files into the root.
    """

    fetchedConfigs: list[FetchedConfig]
    luksPersistKeyFiles: dict[str, str]
    luksPersistVolumeKeyFiles: dict[str, str]
    notatedDirectories: list[str]
    providerOutputFiles: list[File]


class BadStateError(StateError):
    """The state file cannot be used."""

    exit_code = 3


class MissingConfigError(NestosError):
    """A stage that needs the cached config ran before any fetch stage wrote one."""

    kind = "missing-config"


class UnsupportedError(NestosError):
    """The config asks for something that this version cannot do; the sentence names the key."""

    kind = "unsupported"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a stage is given."""

    settings: Settings
    machine: Machine
    log: Log
    root: Root

    def read_config(self) -> Config:
        """The merged config that a fetch stage left."""
        path = self.settings.config_cache
        try:
            return cast("Config", json.loads(path.read_bytes()))
        except FileNotFoundError as error:
            raise MissingConfigError(
                f"there is no config at {path}", hint="run the stages fetch-offline and, if needed, fetch first"
            ) from error
        except ValueError as error:
            raise MissingConfigError(f"the cached config at {path} cannot be read: {error}") from error

    def write_config(self, config: Config) -> None:
        """Leaves the merged config for the later stages."""
        path = self.settings.config_cache
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write(path, json.dumps(config).encode(), mode=_CACHE_MODE)

    def read_state(self) -> State:
        """What earlier stages told; empty before the first."""
        path = self.settings.state_file
        try:
            state = json.loads(path.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise BadStateError(f"the state file {path} cannot be read: {error}") from error
        if not isinstance(state, dict):
            raise BadStateError(f"the state file {path} does not hold an object")
        return cast(State, state)

    def write_state(self, state: State) -> None:
        """Tells later stages."""
        path = self.settings.state_file
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write(path, json.dumps(state).encode(), mode=_STATE_MODE)

    def ask_for_network(self) -> None:
        """Makes the flag file that has the network brought up before the fetch stage."""
        path = self.settings.neednet
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def refuse(config: Config, *sections: tuple[str, ...]) -> None:
    """Raises ``UnsupportedError`` naming every one of ``sections`` that ``config`` has something in."""
    present = []
    for path in sections:
        value: object = config
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if value:
            present.append(".".join(("$", *path)))
    if present:
        raise UnsupportedError(f"not supported by this version: {', '.join(present)}")
