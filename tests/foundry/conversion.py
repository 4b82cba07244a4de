"""A Debian package as an RPM package: the same files, relations and maintainer scripts.

dpkg unpacks all packages and then configures them; rpm runs ``%post`` of each right after its files. So ``postinst
configure`` becomes ``%posttrans``, which runs when all files are there, in the order of dependencies. The scripts
themselves are shipped as files, because debconf finds a package's questions beside its script. Triggers on paths
become ``%transfiletriggerin``. Debian's essential packages are relied upon without a word; here a package of its own
requires them, and all that are outside their closure require it before their ``%pre``.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping, Sequence

from tests.foundry import deb, relations
from tests.foundry.deb import Deb, Entry
from tests.foundry.rpmfile import Dependency, File, FileFlag, Rpm, Sense

HOME = "/usr/lib/foundry"
"""Where the maintainer scripts are in the tree."""

ESSENTIAL = "foundry-essential"
"""The package that requires the essential ones."""

_ARCHITECTURES = {"all": "noarch", "amd64": "x86_64", "arm64": "aarch64"}
_SHIPPED = {"postinst": 0o755, "config": 0o755, "templates": 0o644}
_ACCOUNT_FILES = {"/etc/passwd": "passwd.master", "/etc/group": "group.master"}
# What stands for a trigger that has a name.
_PATHS_OF_TRIGGERS = {"ldconfig": "/usr/lib"}
_ENVIRONMENT = (
    "DPKG_MAINTSCRIPT_PACKAGE={name} DPKG_MAINTSCRIPT_NAME={script} DPKG_MAINTSCRIPT_ARCH={arch} "
    "DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 DPKG_ROOT= DPKG_ADMINDIR=/var/lib/dpkg "
    "DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true INITRD=No LC_ALL=C.UTF-8"
)


def rpm(one: Deb, *, in_base: bool) -> Rpm:
    """The package. ``in_base`` tells that it is essential or needed by one that is."""
    version = relations.package_evr(one.fields["Version"])
    before = () if in_base else (Dependency(name=ESSENTIAL, sense=Sense.SCRIPT_PRE),)
    needed = [*one.relations("Pre-Depends"), *one.relations("Depends")]
    broken = [*one.relations("Conflicts"), *one.relations("Breaks")]
    return Rpm(
        name=one.name,
        epoch=version.epoch,
        version=version.version,
        release=version.release,
        arch=_ARCHITECTURES[one.fields["Architecture"]],
        summary=one.fields.get("Description", one.name).partition("\n")[0],
        requires=(*map(relations.group, needed), *before),
        recommends=tuple(map(relations.group, one.relations("Recommends"))),
        provides=tuple(relations.dependency(group[0]) for group in one.relations("Provides")),
        conflicts=tuple(relations.dependency(group[0]) for group in broken),
        files=tuple(_files(one)),
        pre="" if in_base else _pre(one),
        posttrans=_posttrans(one),
        trigger=_trigger(one),
        trigger_paths=_trigger_paths(one),
    )


def essential(names: Sequence[str], *, version: str) -> Rpm:
    """The package that requires the essential ones."""
    return Rpm(
        name=ESSENTIAL,
        version=version,
        release="1",
        arch="noarch",
        summary="What Debian calls essential",
        requires=tuple(Dependency(name=name) for name in sorted(names)),
    )


def closure(stanzas: Mapping[str, Mapping[str, str]]) -> frozenset[str]:
    """The essential packages and what they need, among the given ones by name."""
    providers: dict[str, str] = {name: name for name in stanzas}
    for name, fields in stanzas.items():
        for group in deb.groups(fields.get("Provides", "")):
            providers.setdefault(group[0].name, name)
    todo = [name for name, fields in stanzas.items() if fields.get("Essential") == "yes"]
    found: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            fields = stanzas[name]
            groups = [*deb.groups(fields.get("Pre-Depends", "")), *deb.groups(fields.get("Depends", ""))]
            todo += [providers[one.name] for group in groups for one in group if one.name in providers]
    return frozenset(found)


def _files(one: Deb) -> Iterator[File]:
    for entry in one.entries:
        yield _file(entry, flags=_flags(entry, conffiles=one.conffiles))
    for script, mode in _SHIPPED.items():
        if script in one.control:
            path = f"{HOME}/{one.name}.{script}"
            yield File(path=path, mode=stat.S_IFREG | mode, content=one.control[script].encode())
    if one.name == "base-passwd":
        masters = {entry.path.rpartition("/")[2]: entry.content for entry in one.entries}
        for path, master in _ACCOUNT_FILES.items():
            config = FileFlag.CONFIG | FileFlag.NOREPLACE
            yield File(path=path, mode=stat.S_IFREG | 0o644, content=masters[master], flags=config)


def _file(entry: Entry, *, flags: FileFlag) -> File:
    return File(
        path=entry.path, mode=entry.mode, content=entry.content, user=entry.user, group=entry.group, flags=flags
    )


def _flags(entry: Entry, *, conffiles: frozenset[str]) -> FileFlag:
    if stat.S_ISREG(entry.mode) and entry.path in conffiles:
        return FileFlag.CONFIG | FileFlag.NOREPLACE
    if stat.S_ISDIR(entry.mode) or not entry.path.startswith("/usr/share/doc/"):
        return FileFlag.NONE
    return FileFlag.LICENSE if entry.path.endswith("/copyright") else FileFlag.DOC


def _pre(one: Deb) -> str:
    """``preinst install``, from a file: its text names the interpreter, and the package's own files are not there."""
    if "preinst" not in one.control:
        return ""
    return (
        f"script=$(mktemp)\ncat >$script <<'END-OF-PREINST'\n{one.control['preinst'].rstrip()}\nEND-OF-PREINST\n"
        f"chmod 0755 $script\n{_environment(one, script='preinst')} $script install\n"
        "status=$?\nrm -f $script\nexit $status\n"
    )


def _posttrans(one: Deb) -> str:
    # base-passwd's would bring the account files, to which the compose has added by then, back to its own.
    if "postinst" not in one.control or one.name == "base-passwd":
        return ""
    return f'{_environment(one, script="postinst")} {HOME}/{one.name}.postinst configure ""\n'


def _trigger_paths(one: Deb) -> tuple[str, ...]:
    paths = [_PATHS_OF_TRIGGERS.get(trigger, trigger) for trigger in one.triggers]
    return tuple(path for path in paths if path.startswith("/"))


def _trigger(one: Deb) -> str:
    paths = _trigger_paths(one)
    if not paths or "postinst" not in one.control:
        return ""
    return f'{_environment(one, script="postinst")} {HOME}/{one.name}.postinst triggered "{" ".join(paths)}"\n'


def _environment(one: Deb, *, script: str) -> str:
    return _ENVIRONMENT.format(name=one.name, script=script, arch=one.fields["Architecture"])
