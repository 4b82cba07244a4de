"""Specification 3.1.0: one kind of resource everywhere, HTTP headers, SHA-256, proxies, mount options. Frozen."""

from __future__ import annotations

from dataclasses import replace

from nestos.ignition.spec import v3_0
from nestos.ignition.spec.rules import resources
from nestos.ignition.spec.schema import TEXT, Items, Object, Value, by
from nestos.ignition.spec.v3_0 import keyed, option_list

VERSION = "3.1.0"

TRAITS = replace(v3_0.TRAITS, hashes={"sha256": 64, "sha512": 128}, source_required=True)

_HEADER = Object(fields={"name": TEXT, "value": TEXT}, rules=(resources.header,))
RESOURCE = Object(
    fields={
        "source": TEXT,
        "compression": TEXT,
        "httpHeaders": Items(of=_HEADER, key=by("name"), removes_without="value"),
        "verification": Object(fields={"hash": TEXT}),
    },
    rules=(resources.resource,),
)
_PROXY = Object(
    fields={"httpProxy": TEXT, "httpsProxy": TEXT, "noProxy": keyed(TEXT)},
    rules=(resources.proxy,),
)

CONFIG = v3_0.CONFIG.grown(
    {
        "ignition": {"proxy": _PROXY},
        "ignition.config.merge": RESOURCE.fields,
        "ignition.config.replace": RESOURCE.fields,
        "ignition.security.tls.certificateAuthorities": RESOURCE.fields,
        "storage.files.contents": RESOURCE.fields,
        "storage.files.append": RESOURCE.fields,
        "storage.filesystems": {"mountOptions": option_list()},
    }
)


def upgrade(config: Value) -> Value:
    """A 3.0.0 config means the same in 3.1.0; a config to merge without a source, which was allowed, is none."""
    references = config.get("ignition", {}).get("config", {})
    if "merge" in references:
        references["merge"] = [entry for entry in references["merge"] if entry.get("source")]
    return config
