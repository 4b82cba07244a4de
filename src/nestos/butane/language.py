"""The base language as tables: everything that all variants share, and the version of it that brought each key.

Versions here are those of Butane's own base: 1 speaks Ignition 3.0, 2 3.1, 3 3.2, 4 3.3, 5 3.4 and 6 3.5. They
are frozen: a new one only adds keys. Order of keys is the order of the result.
"""

from __future__ import annotations

from dataclasses import replace

from nestos.butane.embedded import check_directory_mode, check_file_mode, embed_contents, embed_keys
from nestos.butane.mounts import add_units, request_unit
from nestos.butane.resources import embed
from nestos.butane.schema import Field, Kind, ListOf, Scalar, Table, key
from nestos.butane.site import Site
from nestos.butane.trees import add_trees, request_tree

_TEXT, _NUMBER, _FLAG = Scalar.TEXT, Scalar.NUMBER, Scalar.FLAG
_TEXTS = ListOf(_TEXT)

_VERIFICATION = Table(fields=(key("hash", _TEXT),))
_HEADERS = ListOf(Table(fields=(key("name", _TEXT), key("value", _TEXT))))


def _resource(*, since: int) -> Table:
    """A resource whose sugar and compression came with ``since``; file contents had them first."""
    return Table(
        fields=(
            key("compression", _TEXT, since=since),
            key("http_headers", _HEADERS, since=2),
            key("source", _TEXT),
            key("inline", _TEXT, since=since, sugar=True),
            key("local", _TEXT, since=2, sugar=True),
            key("verification", _VERIFICATION),
        ),
        hook=embed,
    )


_CONTENTS = _resource(since=1)
_REFERENCE = _resource(since=2)

_IGNITION = Table(
    fields=(
        key("config", Table(fields=(key("merge", ListOf(_REFERENCE)), key("replace", _REFERENCE)))),
        key(
            "proxy",
            Table(fields=(key("http_proxy", _TEXT), key("https_proxy", _TEXT), key("no_proxy", _TEXTS))),
            since=2,
        ),
        key(
            "security",
            Table(fields=(key("tls", Table(fields=(key("certificate_authorities", ListOf(_REFERENCE)),))),)),
        ),
        key("timeouts", Table(fields=(key("http_response_headers", _NUMBER), key("http_total", _NUMBER)))),
    )
)

_OWNER = Table(fields=(key("id", _NUMBER), key("name", _TEXT)))
_NODE = (key("group", _OWNER), key("overwrite", _FLAG), key("path", _TEXT), key("user", _OWNER))

_DIRECTORY = Table(fields=(*_NODE, key("mode", _NUMBER)), hook=check_directory_mode)
_FILE = Table(
    fields=(*_NODE, key("append", ListOf(_CONTENTS)), key("contents", _CONTENTS), key("mode", _NUMBER)),
    hook=check_file_mode,
)
_LINK = Table(fields=(*_NODE, key("hard", _FLAG), key("target", _TEXT)))

_PARTITION = Table(
    fields=(
        key("guid", _TEXT),
        key("label", _TEXT),
        key("number", _NUMBER),
        key("resize", _FLAG, since=3),
        key("should_exist", _FLAG),
        key("size_mib", _NUMBER),
        key("start_mib", _NUMBER),
        key("type_guid", _TEXT),
        key("wipe_partition_entry", _FLAG),
    )
)
_DISK = Table(fields=(key("device", _TEXT), key("partitions", ListOf(_PARTITION)), key("wipe_table", _FLAG)))

_RAID = Table(
    fields=(
        key("devices", _TEXTS),
        key("level", _TEXT),
        key("name", _TEXT),
        key("options", _TEXTS),
        key("spares", _NUMBER),
    )
)

_FILESYSTEM = Table(
    fields=(
        key("device", _TEXT),
        key("format", _TEXT),
        key("label", _TEXT),
        key("mount_options", _TEXTS, since=2),
        key("options", _TEXTS),
        key("path", _TEXT),
        key("uuid", _TEXT),
        key("wipe_filesystem", _FLAG),
        key("with_mount_unit", _FLAG, since=2, sugar=True),
    ),
    hook=request_unit,
)

_CLEVIS = Table(
    fields=(
        key("custom", Table(fields=(key("config", _TEXT), key("needs_network", _FLAG), key("pin", _TEXT)))),
        key(
            "tang",
            ListOf(Table(fields=(key("advertisement", _TEXT, since=5), key("thumbprint", _TEXT), key("url", _TEXT)))),
        ),
        key("threshold", _NUMBER),
        key("tpm2", _FLAG),
    )
)
_LUKS = Table(
    fields=(
        key("cex", Table(fields=(key("enabled", _FLAG),)), since=6),
        key("clevis", _CLEVIS),
        key("device", _TEXT),
        key("discard", _FLAG, since=5),
        key("key_file", _CONTENTS),
        key("label", _TEXT),
        key("name", _TEXT),
        key("open_options", _TEXTS, since=5),
        key("options", _TEXTS),
        key("uuid", _TEXT),
        key("wipe_volume", _FLAG),
    )
)

_TREE = Table(fields=(key("local", _TEXT), key("path", _TEXT)), hook=request_tree)

_STORAGE = Table(
    fields=(
        key("directories", ListOf(_DIRECTORY)),
        key("disks", ListOf(_DISK)),
        key("files", ListOf(_FILE)),
        key("filesystems", ListOf(_FILESYSTEM)),
        key("links", ListOf(_LINK)),
        key("luks", ListOf(_LUKS), since=3),
        key("raid", ListOf(_RAID)),
        key("trees", ListOf(_TREE), since=2, sugar=True),
    )
)

_GROUP = Table(
    fields=(
        key("gid", _NUMBER),
        key("name", _TEXT),
        key("password_hash", _TEXT),
        key("should_exist", _FLAG, since=3),
        key("system", _FLAG),
    )
)
_USER = Table(
    fields=(
        key("gecos", _TEXT),
        key("groups", _TEXTS),
        key("home_dir", _TEXT),
        key("name", _TEXT),
        key("no_create_home", _FLAG),
        key("no_log_init", _FLAG),
        key("no_user_group", _FLAG),
        key("password_hash", _TEXT),
        key("primary_group", _TEXT),
        key("should_exist", _FLAG, since=3),
        key("ssh_authorized_keys", _TEXTS),
        key("ssh_authorized_keys_local", _TEXTS, since=5, sugar=True),
        key("shell", _TEXT),
        key("system", _FLAG),
        key("uid", _NUMBER),
    ),
    hook=embed_keys,
)

_UNIT_TEXT: tuple[Field, ...] = (key("contents", _TEXT), key("contents_local", _TEXT, since=5, sugar=True))
_DROPIN = Table(fields=(*_UNIT_TEXT, key("name", _TEXT)), hook=embed_contents)
_UNIT = Table(
    fields=(
        *_UNIT_TEXT,
        key("dropins", ListOf(_DROPIN)),
        key("enabled", _FLAG),
        key("mask", _FLAG),
        key("name", _TEXT),
    ),
    hook=embed_contents,
)


def _finish(site: Site) -> None:
    """Hook of the whole config."""
    add_units(site)
    add_trees(site)


_CONFIG = Table(
    fields=(
        key("variant", _TEXT, sugar=True),
        key("version", _TEXT, sugar=True),
        key("ignition", _IGNITION),
        key(
            "kernel_arguments",
            Table(fields=(key("should_exist", _TEXTS), key("should_not_exist", _TEXTS))),
            since=4,
        ),
        key("passwd", Table(fields=(key("groups", ListOf(_GROUP)), key("users", ListOf(_USER))))),
        key("storage", _STORAGE),
        key("systemd", Table(fields=(key("units", ListOf(_UNIT)),))),
    ),
    hook=_finish,
)


def config(*additions: tuple[str, Kind]) -> Table:
    """The table of a whole config, with the top-level keys that a variant adds."""
    return replace(_CONFIG, fields=(*_CONFIG.fields, *(key(name, kind, sugar=True) for name, kind in additions)))
