"""From the places where configs can be to one merged config of the newest version."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path

from nestos.ignition.engine import parts
from nestos.ignition.engine.job import FetchedConfig, Job
from nestos.ignition.engine.transport import FetchError, Transport, fetch_bytes, shown
from nestos.ignition.spec.errors import ConfigError
from nestos.ignition.spec.merge import merged
from nestos.ignition.spec.model import Config, Resource
from nestos.ignition.spec.parse import parse, validate
from nestos.ignition.spec.schema import Value
from nestos.ignition.spec.versions import NEWEST

_DEEPEST = 64  # configs that lead to configs; more is taken for a circle
_URL_WORD = "ignition.config.url"


@dataclass(frozen=True, kw_only=True)
class Acquired:
    """The merged config, and what went into it."""

    config: Config
    sources: list[FetchedConfig]


@dataclass(kw_only=True)
class _Reader:
    """Reads configs of one kind and remembers them."""

    job: Job
    transport: Transport
    kind: str
    sources: list[FetchedConfig] = field(default_factory=list)

    def read(self, data: bytes, *, source: str, referenced: bool) -> Config:
        """The config in ``data``; warnings are logged. Raises ``ConfigError``."""
        parsed = parse(data, source=source)
        if parsed.config is None:
            raise ConfigError(f"the config from {source} is not valid", report=parsed.report)
        for finding in parsed.report:
            self.job.log.warning(str(finding))
        self.sources.append({"kind": self.kind, "source": source, "referenced": referenced})
        return parsed.config

    def refer(self, resource: Resource) -> Config:
        """The config that another one refers to."""
        source = shown(resource.get("source", ""))
        with self.job.log.operation(f"fetching the config {source}"):
            data = fetch_bytes(resource, transport=self.transport)
        return self.read(data, source=source, referenced=True)

    def render(self, config: Config, *, depth: int = 0) -> Config:
        """``config`` with every config that it refers to, replaced or merged, depth first."""
        if depth > _DEEPEST:
            raise FetchError(f"configs refer to each other more than {_DEEPEST} deep")
        references = config["ignition"].get("config", {})
        if "source" in references.get("replace", {}):
            child = self.refer(references["replace"])
            self.transport = self.transport.configured(child)
            return self.render(child, depth=depth + 1)
        result = _alone(config)
        for entry in references.get("merge", []):
            child = self.refer(entry)
            self.transport = self.transport.configured(merged(result, child))
            result = merged(result, self.render(child, depth=depth + 1))
        return result


def _alone(config: Config) -> Config:
    """``config`` without its references."""
    alone = config.copy()
    alone["ignition"] = config["ignition"].copy()
    alone["ignition"].pop("config", None)
    return alone


def empty() -> Config:
    """A config that says nothing."""
    return {"ignition": {"version": NEWEST.name}}


def acquire(job: Job, *, transport: Transport) -> Acquired:
    """Base configs, then the user's, rendered and merged.

    The user's is the first there is of: the kernel command line, ``user.ign``, the platform. Raises
    ``NeedsNetworkError`` if the transport is offline and the config cannot be had without a network, ``ConfigError``,
    ``FetchError``, ``NetworkError``.
    """
    base_reader = _Reader(job=job, transport=transport, kind="base")
    base = empty()
    for path in _base_files(job):
        job.log.info(f'reading system config file "{path}"')
        found = base_reader.read(path.read_bytes(), source=str(path), referenced=False)
        base_reader.transport = transport.configured(found)
        base = merged(base, base_reader.render(found))
    reader = _Reader(job=job, transport=transport, kind="user")
    user = _user_config(job, reader)
    _require_valid(user, "the user's config, merged with those it refers to,")
    config = merged(base, user)
    _require_valid(config, "the config, merged with those of the image,")
    return Acquired(config=config, sources=[*base_reader.sources, *reader.sources])


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
            for path in above.joinpath(folder).glob("*.ign"):
                by_name.setdefault(path.name, path)
        files += [by_name[name] for name in sorted(by_name)]
    return files


def command_line_value(text: str, name: str) -> str:
    """The value of the last word ``name=value`` on a kernel command line; values may be quoted."""
    words = [word.replace('"', "") for word in re.findall(r'(?:"[^"]*"|\S)+', text)]
    prefix = f"{name}="
    return next((word.removeprefix(prefix) for word in reversed(words) if word.startswith(prefix)), "")


def _user_config(job: Job, reader: _Reader) -> Config:
    data, source = _user_data(job, reader.transport)
    if data is None or not data.strip():
        job.log.info("not a config (empty): continuing without a config of the user")
        return empty()
    with job.log.operation(f"reading the config from {source}"):
        config = reader.read(data, source=source, referenced=False)
    reader.transport = reader.transport.configured(config)
    return _with_own_authorities(reader.render(config), reader.transport)


def _user_data(job: Job, transport: Transport) -> tuple[bytes | None, str]:
    """The bytes of the user's config, and the name of their source."""
    url = command_line_value(job.machine.command_line.read_text(errors="replace"), _URL_WORD)
    if url:
        with job.log.operation(f"fetching the config {shown(url)} from the kernel command line"):
            return fetch_bytes({"source": url}, transport=transport), shown(url)
    for folder in job.machine.config_folders:
        path = folder / "user.ign"
        if path.exists():
            return path.read_bytes(), str(path)
    platform = job.settings.platform
    return parts.load(parts.PROVIDERS[platform]).fetch_config(job), f"platform {platform}"


def _with_own_authorities(config: Config, transport: Transport) -> Config:
    """``config`` with each certificate authority, once fetched, standing in the config itself."""
    tls = config["ignition"].get("security", {}).get("tls", {})
    if "certificateAuthorities" in tls:
        tls["certificateAuthorities"] = [
            {"source": "data:;base64," + base64.b64encode(fetch_bytes(entry, transport=transport)).decode()}
            for entry in tls["certificateAuthorities"]
        ]
    return config


def resources_of(config: Config) -> list[str]:
    """The URLs that stages after fetching will need."""
    urls = []
    for file in config.get("storage", {}).get("files", []):
        urls += [part.get("source", "") for part in (file.get("contents", {}), *file.get("append", []))]
    for volume in config.get("storage", {}).get("luks", []):
        urls += _sources_in(volume)
    return [url for url in urls if url]


def _sources_in(volume: Value) -> list[str]:
    """The URLs of a LUKS volume: its key file, and its tang servers that do not stand in the config."""
    urls: list[str] = [volume.get("keyFile", {}).get("source", "")]
    clevis = volume.get("clevis", {})
    urls += [server.get("url", "") for server in clevis.get("tang", []) if not server.get("advertisement")]
    if clevis.get("custom", {}).get("needsNetwork"):
        urls.append("network:")
    return urls
