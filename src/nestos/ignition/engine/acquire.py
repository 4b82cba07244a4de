"""From the places where configs can be to one merged config of the newest version."""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nestos.ignition.engine import parts
from nestos.ignition.engine.job import FetchedConfig, Job
from nestos.ignition.engine.transport import FetchError, Transport, fetch_bytes, named, shown
from nestos.ignition.spec.dataurl import unescaped
from nestos.ignition.spec.errors import ConfigError
from nestos.ignition.spec.merge import merged
from nestos.ignition.spec.parse import parse, validate
from nestos.ignition.spec.versions import NEWEST

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Config, Luks, Resource

_DEEPEST = 64  # configs that lead to configs; more is taken for a circle
_URL_WORD = "ignition.config.url"
_DEVICE_WORD = "ignition.config.device"
_PATH_WORD = "ignition.config.path"
BASE: FetchedConfig = {"kind": "base", "source": "system", "referenced": False}
"""The configs of the image, all together."""

_PATH_OF_URL = re.compile(r"[^:/?#]*://[^/?#]*([^?#]*)")


@dataclass(frozen=True, kw_only=True)
class Acquired:
    """The merged config, and what went into it."""

    config: Config
    sources: list[FetchedConfig]


@dataclass(kw_only=True)
class _Reader:
    """Reads configs, and remembers those that others referred to."""

    job: Job
    transport: Transport
    referenced: list[FetchedConfig] = field(default_factory=list)

    def read(self, data: bytes, *, source: str) -> Config:
        """The config in ``data``; warnings are logged. Raises ``ConfigError``."""
        parsed = parse(data, source=source)
        if parsed.config is None:
            raise ConfigError(f"the config from {source} is not valid", report=parsed.report)
        for finding in parsed.report:
            self.job.log.warning(str(finding))
        return parsed.config

    def refer(self, resource: Resource, *, key: str) -> Config:
        """The config that another one refers to by ``key``."""
        url = resource.get("source", "")
        source = shown(url)
        self.transport.require_reach(url)
        with self.job.log.operation(f"fetching the config {source}"), named(f"$.ignition.config.{key}.source"):
            data = fetch_bytes(resource, transport=self.transport)
        if not data:
            self.job.log.warning(f"the config {source} is empty and says nothing")
        config = self.read(data, source=source) if data else empty()
        path = _PATH_OF_URL.match(url)
        name = unescaped(path[1]).decode("utf-8", "replace") if path else ""
        self.referenced.append({"kind": "user", "source": name, "referenced": True})
        return config

    def render(self, config: Config, *, depth: int = 0) -> Config:
        """``config`` with every config that it refers to, replaced or merged, depth first.

        What was merged stays named in the result, as a record; nothing is fetched from there again.
        """
        if depth > _DEEPEST:
            raise FetchError(f"configs refer to each other more than {_DEEPEST} deep")
        references = config["ignition"].get("config", {})
        if "source" in references.get("replace", {}):
            child = self.refer(references["replace"], key="replace")
            self.transport = self.transport.configured(child)
            return self.render(child, depth=depth + 1)
        result = config
        for index, entry in enumerate(references.get("merge", [])):
            child = self.refer(entry, key=f"merge.{index}")
            self.transport = self.transport.configured(merged(result, child))
            result = merged(result, self.render(child, depth=depth + 1))
        return result


def empty() -> Config:
    """A config that says nothing."""
    return {"ignition": {"version": NEWEST.name}}


def acquire(job: Job, *, transport: Transport) -> Acquired:
    """Base configs, then the user's, rendered and merged.

    The user's is the first there is of: the kernel command line, ``user.ign``, the platform. Raises
    ``NeedsNetworkError`` if the transport is offline and the config cannot be had without a network, ``ConfigError``,
    ``FetchError``, ``NetworkError``.
    """
    base_reader = _Reader(job=job, transport=transport)
    base = empty()
    for path in _base_files(job):
        job.log.info(f'reading system config file "{path}"')
        found = base_reader.read(path.read_bytes(), source=str(path))
        base_reader.transport = transport.configured(found)
        base = merged(base, base_reader.render(found))
    sources = [BASE]
    reader = _Reader(job=job, transport=transport)
    data, source = _user_data(job, reader.transport)
    user = empty()
    if data is None or not data.strip():
        job.log.info("not a config (empty): provider config was empty, continuing with empty cache config")
    else:
        user = _user_config(data, source, reader)
        sources.append({"kind": "user", "source": source, "referenced": False})
    config = merged(base, user)
    _require_valid(config, "the config, merged with those of the image,")
    return Acquired(config=config, sources=[*sources, *reader.referenced])


def rendered(job: Job, config: Config, *, transport: Transport) -> Config:
    """``config`` with every config that it refers to, valid as a whole. Raises as ``acquire`` does."""
    result = _Reader(job=job, transport=transport.configured(config)).render(config)
    _require_valid(result, "the config, merged with those it refers to,")
    return result


def _require_valid(config: Config, what: str) -> None:
    report = validate(config)
    if report.is_fatal:
        raise ConfigError(f"{what} is not valid", report=report)


def _base_files(job: Job) -> list[Path]:
    """The base configs: of all folders, then of the platform; in order of name, the first folder's of each name."""
    files: list[Path] = []
    for folder in (Path("base.d"), Path("base.platform.d", job.settings.platform)):
        by_name: dict[str, Path] = {}
        for above in job.machine.config_folders:
            if above.joinpath(folder).is_dir():
                for path in above.joinpath(folder).iterdir():
                    by_name.setdefault(path.name, path)
        files += [by_name[name] for name in sorted(by_name)]
    return files


def command_line_value(text: str, name: str) -> str:
    """The value of the last word ``name=value`` on a kernel command line; values may be quoted."""
    words = [word.replace('"', "") for word in re.findall(r'(?:"[^"]*"|\S)+', text)]
    prefix = f"{name}="
    return next((word.removeprefix(prefix) for word in reversed(words) if word.startswith(prefix)), "")


def _user_config(data: bytes, source: str, reader: _Reader) -> Config:
    """The config in ``data`` with all those that it refers to."""
    with reader.job.log.operation(f"reading the config from {source}"):
        config = reader.read(data, source=source)
    reader.transport = reader.transport.configured(config)
    config = reader.render(config)
    _require_valid(config, "the user's config, merged with those it refers to,")
    reader.transport = reader.transport.configured(config)
    return _with_own_authorities(config, reader.transport)


def _user_data(job: Job, transport: Transport) -> tuple[bytes | None, str]:
    """The bytes of the user's config, and the name of their source as the state has it."""
    command_line = job.machine.command_line.read_text(errors="replace")
    url, label, path = (command_line_value(command_line, name) for name in (_URL_WORD, _DEVICE_WORD, _PATH_WORD))
    if url:
        if label or path:
            job.log.warning(f'"{_URL_WORD}" takes precedence; ignoring "{_DEVICE_WORD}" and "{_PATH_WORD}"')
        transport.require_reach(url)
        with job.log.operation(f"fetching the config {shown(url)} from the kernel command line"), named(_URL_WORD):
            return fetch_bytes({"source": url}, transport=transport), "cmdline"
    if label and path:
        return parts.load(parts.DRIVE).read_named(job, label=label, path=path), "cmdline"
    if label or path:
        raise FetchError(f'both "{_DEVICE_WORD}" and "{_PATH_WORD}" must be provided together')
    for folder in job.machine.config_folders:
        file = folder / "user.ign"
        if file.exists():
            job.log.info(f'reading system config file "{file}"')
            return file.read_bytes(), "system"
    platform = job.settings.platform
    return parts.load(parts.PROVIDERS[platform]).fetch_config(job, transport=transport), platform


def _with_own_authorities(config: Config, transport: Transport) -> Config:
    """``config`` with each certificate authority, once fetched, standing in the config itself.

    Two URLs may lead to equal contents, which stand there once: a source that comes twice makes a config invalid.
    """
    tls = config["ignition"].get("security", {}).get("tls", {})
    own: dict[str, Resource] = {}
    for index, entry in enumerate(tls.get("certificateAuthorities", [])):
        encoded = binascii.b2a_base64(transport.authority(entry, at=index), newline=False).decode()
        entry["source"] = f"data:text/plain;charset=utf-8;base64,{encoded}"
        entry.pop("httpHeaders", None)
        entry.pop("compression", None)
        own.setdefault(entry["source"], entry)
    if own:
        tls["certificateAuthorities"] = list(own.values())
    return config


def resources_of(config: Config) -> list[str]:
    """The URLs that stages after fetching will need."""
    urls = []
    for file in config.get("storage", {}).get("files", []):
        urls += [part.get("source", "") for part in (file.get("contents", {}), *file.get("append", []))]
    for volume in config.get("storage", {}).get("luks", []):
        urls += _sources_in(volume)
    return [url for url in urls if url]


def _sources_in(volume: Luks) -> list[str]:
    """The URLs of a LUKS volume: its key file, and its tang servers that do not stand in the config."""
    urls: list[str] = [volume.get("keyFile", {}).get("source", "")]
    clevis = volume.get("clevis", {})
    urls += [server.get("url", "") for server in clevis.get("tang", []) if not server.get("advertisement")]
    if clevis.get("custom", {}).get("needsNetwork"):
        urls.append("network:")
    return urls
