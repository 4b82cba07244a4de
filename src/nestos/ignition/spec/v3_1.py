"""Specification 3.1.0: one kind of resource everywhere, HTTP headers, SHA-256, proxies, mount options. Frozen."""

from __future__ import annotations

from dataclasses import replace

from nestos.ignition.spec import v3_0
from nestos.ignition.spec.rules import resources
from nestos.ignition.spec.schema import TEXT, Items, Object, Value, by
from nestos.ignition.spec.v3_0 import VERIFICATION, keyed, options, words

VERSION = "3.1.0"

TRAITS = replace(v3_0.TRAITS, hashes={"sha256": 64, "sha512": 128})

_HEADER = Object(name="HTTPHeader", fields={"name": TEXT, "value": TEXT}, rules=(resources.header,))
RESOURCE = Object(
    name="Resource",
    fields={
        "source": TEXT,
        "compression": TEXT,
        "httpHeaders": Items(of=_HEADER, key=by("name"), removes_without="value", name="HTTPHeaders"),
        "verification": VERIFICATION,
    },
    rules=(resources.resource,),
)
_REFERENCES = Object(
    name="IgnitionConfig",
    fields={"merge": keyed(RESOURCE, "source"), "replace": RESOURCE},
    rules=(resources.sourced("merge"),),
)
_TLS = Object(
    name="TLS",
    fields={"certificateAuthorities": keyed(RESOURCE, "source")},
    rules=(resources.sourced("certificateAuthorities"),),
)
_PROXY = Object(
    name="Proxy",
    fields={"httpProxy": TEXT, "httpsProxy": TEXT, "noProxy": words("NoProxyItem")},
    rules=(resources.proxy,),
)

CONFIG = v3_0.CONFIG.grown(
    {
        "ignition": {"proxy": _PROXY, "config": _REFERENCES},
        "ignition.security": {"tls": _TLS},
        "storage.files": {"contents": RESOURCE, "append": Items(of=RESOURCE)},
        "storage.filesystems": {"mountOptions": options("MountOption")},
    }
)


def upgrade(config: Value) -> Value:
    """A 3.0.0 config means the same in 3.1.0."""
    return config
