"""The base language as tables: everything that all variants share, and the version of it that brought each key.

Versions here are those of Butane's own base: 1 speaks Ignition 3.0, 2 3.1 and so on up to 8, which speaks the
experimental successor of 3.6. They are frozen: a new one only adds keys. Order of keys is the order of findings.
The part under ``storage`` is in ``storage_language``.
"""

from __future__ import annotations

from nestos.butane.embedded import check_contents, embed_contents, embed_keys
from nestos.butane.quadlets import QUADLETS
from nestos.butane.resources import REFERENCES, resource_table
from nestos.butane.schema import ALWAYS, Field, ListOf, Scalar, Table, key
from nestos.butane.storage_language import STORAGE

IGNITION_OF = {
    1: "3.0.0",
    2: "3.1.0",
    3: "3.2.0",
    4: "3.3.0",
    5: "3.4.0",
    6: "3.5.0",
    7: "3.6.0",
    8: "3.7.0-experimental",
}
"""The version of Ignition that each version of the language speaks."""

_TEXT, _NUMBER, _FLAG = Scalar.TEXT, Scalar.NUMBER, Scalar.FLAG
_TEXTS = ListOf(item=_TEXT)

_IGNITION = Table(
    name="Ignition",
    fields=(
        key(
            "config",
            Table(
                name="IgnitionConfig",
                fields=(
                    key(
                        "merge",
                        ListOf(item=REFERENCES),
                        "Configs that are merged into this one, in this order.",
                    ),
                    key(
                        "replace",
                        REFERENCES,
                        "A config that takes the place of this one.",
                    ),
                ),
            ),
            "Other configs to fetch on first boot.",
        ),
        key(
            "proxy",
            Table(
                name="Proxy",
                fields=(
                    key("http_proxy", _TEXT, "URL of the proxy for http sources."),
                    key("https_proxy", _TEXT, "URL of the proxy for https sources."),
                    key(
                        "no_proxy",
                        _TEXTS,
                        "Hosts, domains and networks that are reached directly.",
                    ),
                ),
            ),
            "Proxies for everything that is fetched on first boot.",
            since=2,
        ),
        key(
            "security",
            Table(
                name="Security",
                fields=(
                    key(
                        "tls",
                        Table(
                            name="TLS",
                            fields=(
                                key(
                                    "certificate_authorities",
                                    ListOf(item=resource_table("CaReference", certificate=True)),
                                    "Certificate authorities in PEM to trust while fetching, besides the system's.",
                                ),
                            ),
                        ),
                        "What is trusted when fetching over https.",
                    ),
                ),
            ),
            "What is trusted on first boot.",
        ),
        key(
            "timeouts",
            Table(
                name="Timeouts",
                fields=(
                    key(
                        "http_response_headers",
                        _NUMBER,
                        "Seconds to wait for a server's answer; 10 if not set.",
                    ),
                    key(
                        "http_total",
                        _NUMBER,
                        "Seconds that one fetch may take with all its tries; 0 is no limit.",
                    ),
                ),
            ),
            "How long fetching may take.",
        ),
    ),
)

_KERNEL_ARGUMENTS = Table(
    name="KernelArguments",
    fields=(
        key(
            "should_exist",
            ListOf(item=_TEXT, typed="KernelArgument"),
            "Arguments that the kernel is booted with.",
        ),
        key(
            "should_not_exist",
            ListOf(item=_TEXT, typed="KernelArgument"),
            "Arguments that are taken away.",
        ),
    ),
)

_GROUP = Table(
    name="PasswdGroup",
    fields=(
        key("gid", _NUMBER, "The group's number; chosen by the system if not set."),
        key("name", _TEXT, "The group's name.", required_until=ALWAYS),
        key("password_hash", _TEXT, "The group's password, hashed."),
        key("should_exist", _FLAG, "False removes the group; true if not set.", since=3),
        key("system", _FLAG, "A system group: its number is taken from the low range."),
    ),
)
_USER = Table(
    name="PasswdUser",
    fields=(
        key("gecos", _TEXT, "The user's full name or another remark."),
        key(
            "groups",
            ListOf(item=_TEXT, typed="Group"),
            "Groups the user is in besides the primary one.",
        ),
        key("home_dir", _TEXT, "The home directory."),
        key("name", _TEXT, "The user's name.", required_until=ALWAYS),
        key("no_create_home", _FLAG, "Do not make the home directory."),
        key(
            "no_log_init",
            _FLAG,
            "Do not add the user to the login databases lastlog and faillog.",
        ),
        key("no_user_group", _FLAG, "Do not make a group with the user's name."),
        key(
            "password_hash",
            _TEXT,
            "The password as crypt(5) hashes it, such as mkpasswd(1) prints.",
        ),
        key("primary_group", _TEXT, "Name of the primary group."),
        key("should_exist", _FLAG, "False removes the user; true if not set.", since=3),
        key(
            "ssh_authorized_keys",
            ListOf(item=_TEXT, typed="SSHAuthorizedKey"),
            "Public SSH keys that may log in.",
        ),
        key(
            "ssh_authorized_keys_local",
            _TEXTS,
            "Local files below the files directory with one public SSH key a line.",
            since=5,
            sugar=True,
        ),
        key("shell", _TEXT, "The login shell."),
        key("system", _FLAG, "A system user: its number is taken from the low range."),
        key("uid", _NUMBER, "The user's number; chosen by the system if not set."),
    ),
    hook=embed_keys,
)

_UNIT_TEXT: tuple[Field, ...] = (
    key("contents", _TEXT, "The text of the file."),
    key(
        "contents_local",
        _TEXT,
        "A local file below the files directory with the text.",
        since=5,
        sugar=True,
    ),
)
_DROPIN = Table(
    name="Dropin",
    fields=(
        *_UNIT_TEXT,
        key(
            "name",
            _TEXT,
            "The name of the file; it ends in .conf.",
            required_until=ALWAYS,
        ),
    ),
    rule=check_contents,
    hook=embed_contents,
)
_UNIT = Table(
    name="Unit",
    fields=(
        *_UNIT_TEXT,
        key(
            "dropins",
            ListOf(item=_DROPIN),
            "Files that change parts of the unit, in NAME.d/.",
        ),
        key(
            "enabled",
            _FLAG,
            "True starts the unit at boot as its [Install] section says, false disables it.",
        ),
        key("mask", _FLAG, "Link the unit to /dev/null so that nothing can start it."),
        key(
            "name",
            _TEXT,
            "The unit's name with its suffix, such as web.service.",
            required_until=ALWAYS,
        ),
    ),
    rule=check_contents,
    hook=embed_contents,
)

BASE: tuple[Field, ...] = (
    key(
        "version",
        _TEXT,
        "The version of the variant that this config is written in.",
        sugar=True,
    ),
    key("variant", _TEXT, "The operating system that this config is for.", sugar=True),
    key("ignition", _IGNITION, "About the config itself: what else to fetch and how."),
    key(
        "kernel_arguments",
        _KERNEL_ARGUMENTS,
        "Arguments on the kernel's command line.",
        since=4,
    ),
    key(
        "passwd",
        Table(
            name="Passwd",
            fields=(
                key("groups", ListOf(item=_GROUP), "Groups to make, change or remove."),
                key("users", ListOf(item=_USER), "Users to make, change or remove."),
            ),
        ),
        "Accounts.",
    ),
    key("storage", STORAGE, "Disks, file systems, and the files on them."),
    key(
        "systemd",
        Table(
            name="Systemd",
            fields=(
                key(
                    "units",
                    ListOf(item=_UNIT),
                    "Units to write, enable, disable or mask.",
                ),
                key(
                    "quadlets",
                    ListOf(item=QUADLETS),
                    "Containers and what belongs to them as podman quadlet files.",
                    since=8,
                    sugar=True,
                ),
            ),
        ),
        "systemd units.",
    ),
)
"""The keys of a whole config that all variants have."""
