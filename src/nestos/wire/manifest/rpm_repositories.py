"""Repositories of RPM packages in a manifest: the keys of dnf's configuration that a compose needs, by their names."""

from __future__ import annotations

from nestos.base.report import Report
from nestos.wire.manifest import condition, files
from nestos.wire.manifest.document import Node
from nestos.wire.manifest.keys import Key
from nestos.wire.manifest.model import RpmRepository
from nestos.wire.manifest.shapes import Flag, ListOf, Text, Whole

_LOWEST_PRIORITY = 99
_ADDRESS = r"(https?://|file:///|\$\{)\S+"  # or a variable that will be one

RPM_KEYS = (
    Key(
        name="baseurl",
        shape=ListOf(item=Text(pattern=_ADDRESS, meaning="an http, https or file address"), single=True, least=1),
        note="Where an RPM repository is; several are tried in turn. The dnf backend needs it, or `metalink`.",
    ),
    Key(
        name="metalink",
        shape=Text(pattern=_ADDRESS, meaning="an http or https address"),
        note="Address of a list of mirrors of an RPM repository.",
    ),
    Key(
        name="gpgkey",
        shape=ListOf(item=Text(pattern=r"[^\x00]+", meaning="a path or an https address"), single=True, least=1),
        note="OpenPGP keys that sign an RPM repository's packages, in armour: files relative to the manifest, or "
        "https addresses (which TLS alone vouches for).",
    ),
    Key(
        name="gpgcheck",
        shape=Flag(),
        note="Every package of an RPM repository must be signed by one of its keys.",
        default="`true`",
    ),
    Key(
        name="repo-gpgcheck",
        shape=Flag(),
        note="Its index must be, too.",
        default="`false`: not every distribution signs it",
    ),
    Key(
        name="priority",
        shape=Whole(least=1, most=_LOWEST_PRIORITY),
        note="Of the RPM repositories that have a package, those with the lowest number are asked.",
        default=f"`{_LOWEST_PRIORITY}`",
    ),
    Key(
        name="exclude",
        shape=ListOf(item=Text(pattern=r"\S+", meaning="a package name, with * for any text")),
        note="Packages that are not taken from an RPM repository.",
    ),
)

_NAMES = frozenset(key.name for key in RPM_KEYS)
_OF_APT = frozenset({"packages-from", "archive", "suite", "components"})


def refuse(name: str, node: Node, report: Report) -> None:
    """Reports what of ``node``, the repository ``name``, means something to the dnf backend alone."""
    for key in sorted(_NAMES & node.entries.keys()):
        node.entries[key].say(report, f'"{key}" of the repository "{name}" is for the dnf backend', at_key=True)


def resolve(name: str, node: Node, *, variables: condition.Variables, report: Report) -> RpmRepository:
    """The repository, with the texts of its keys read. It means something only if ``report`` holds no error."""
    entries = node.entries
    for key in sorted(_OF_APT & entries.keys()):
        entries[key].say(report, f'"{key}" of the repository "{name}" is for the apt backend', at_key=True)

    def texts(key: str) -> tuple[str, ...]:
        return tuple(condition.substitute(item, variables, report) for item in _items(entries.get(key)))

    addresses, metalink = texts("baseurl"), texts("metalink")
    if not addresses and not metalink:
        node.say(report, f'the repository "{name}" needs a "baseurl" or a "metalink" with the dnf backend', at_key=True)
    keys = [_key(item, variables=variables, report=report) for item in _items(entries.get("gpgkey"))]
    check_packages = entries["gpgcheck"].flag if "gpgcheck" in entries else True
    check_index = entries["repo-gpgcheck"].flag if "repo-gpgcheck" in entries else False
    if (check_packages or check_index) and not keys:
        node.say(
            report,
            f'the repository "{name}" needs a "gpgkey"; "gpgcheck: false" takes packages that nobody signed',
            at_key=True,
        )
    return RpmRepository(
        addresses=addresses,
        metalink=metalink[0] if metalink else "",
        keys=tuple(keys),
        check_packages=check_packages,
        check_index=check_index,
        priority=entries["priority"].number if "priority" in entries else _LOWEST_PRIORITY,
        excluded=texts("exclude"),
    )


def _items(node: Node | None) -> tuple[Node, ...]:
    if node is None:
        return ()
    return node.value if isinstance(node.value, tuple) else (node,)


def _key(node: Node, *, variables: condition.Variables, report: Report) -> str:
    """The text of a key in a file, or the https address of one."""
    named = node.with_value(condition.substitute(node, variables, report))
    if named.text.startswith("https://"):
        return named.text
    text = files.read_text(named, report)
    if text is not None and not text.lstrip().startswith("-----BEGIN PGP PUBLIC KEY"):
        named.say(report, f"{files.beside(named)} is not an OpenPGP public key in armour")
    return (text or "").lstrip()
