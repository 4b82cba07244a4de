"""The table of rpm-ostree's treefile keys, as its treefile reference lists them (docs/treefile.md, 2026.2).

Every key of the original has a row, with an honest status: acted upon, no effect, or refused.
"""

from __future__ import annotations

from nestos.wire.manifest.extension import EXTENSION, REPOSITORIES
from nestos.wire.manifest.keys import Key, Merge, Record, Status
from nestos.wire.manifest.shapes import Anything, Choice, Either, Flag, ListOf, MapOf, Row, Text

ARCHITECTURES = ("x86_64", "aarch64", "riscv64", "ppc64le", "s390x", "loongarch64")
"""Base architectures by the kernel's names, as rpm-ostree's ``$basearch``."""

PACKAGE = Text(
    pattern=r"(?s)\s*[A-Za-z0-9@('\"/_.][^\x00]*",
    meaning="a package name (several may be separated by spaces)",
)
ABSOLUTE = Text(pattern=r"/[^\x00]*", meaning="an absolute path")
_PATH = Text(pattern=r"[^\x00]+", meaning="a path")
UNIT = Text(
    pattern=r"[A-Za-z0-9:_.\\@-]+\.(service|socket|target|timer|path|mount|automount|swap|slice|scope|device)",
    meaning='a unit name with its suffix, such as "docker.socket"',
)
_INCLUDE = ListOf(
    item=Either(options=(_PATH, MapOf(item=Anything(), meaning="key")), label="a path (or a manifest in place)"),
    single=True,
)
_CONDITIONAL = Record(
    fields=(
        Key(
            name="if",
            shape=ListOf(item=Text(), single=True, least=1),
            note="Conditions; all must hold.",
            required=True,
        ),
        Key(name="include", shape=_INCLUDE, note="As the key `include`.", required=True),
    )
)

IDENTITY = (
    Key(
        name="ref",
        shape=Text(pattern=r"[A-Za-z0-9_.${}-]+(/[A-Za-z0-9_.${}-]+)*", meaning="words separated by slashes"),
        note="Branch of the OSTree repository that the commit goes to. Mandatory.",
        substitutes=True,
        example="ref: nestos/${basearch}/stable",
    ),
    Key(
        name="edition",
        shape=Choice(
            options=("2024",),
            numbers=True,
            refused={"2014": "trees always follow the 2024 defaults (kernel in /usr/lib/modules, /tmp a directory)"},
        ),
        note="Set of defaults. Only rpm-ostree's `2024` set exists here.",
        default="2024",
    ),
    Key(
        name="releasever",
        shape=Text(numbers=True),
        note="Version of the package base. Also the variable `${releasever}`.",
        example="releasever: 13",
    ),
    Key(
        name="variables",
        shape=MapOf(
            item=Either(options=(Flag(), Text(pattern=r"(?s).*", numbers=True)), label="a text, a number or a boolean"),
            keys=r"[A-Za-z_][A-Za-z0-9_-]*",
            meaning="variable name",
        ),
        note="Names for `${name}` and for conditions: text, number or boolean. "
        "`basearch`, `debarch` (Debian's name of the architecture) and `releasever` are defined by themselves.",
        merge=Merge.UPDATE,
        example="variables: {stream: stable}",
    ),
    Key(
        name="automatic-version-prefix",
        shape=Text(numbers=True, pattern=r"[^\s/]+", meaning="free of spaces and slashes"),
        note="Start of the version; the counter behind it grows with each commit. `<date:%Y%m%d>` is the day of the "
        "compose, after which the counter starts from 0 again.",
        substitutes=True,
        aliases=("automatic_version_prefix",),
        example='automatic-version-prefix: "${releasever}.<date:%Y%m%d>"',
    ),
    Key(
        name="automatic-version-suffix",
        shape=Text(pattern=r"[!-~]", meaning="one ASCII character"),
        note="Character between prefix and counter.",
        default="`.`",
    ),
    Key(
        name="add-commit-metadata",
        shape=MapOf(item=Anything(), meaning="metadata key"),
        note="Metadata of the commit. Texts at the top level take variables.",
        merge=Merge.UPDATE,
        substitutes=True,
    ),
    Key(
        name="metadata",
        shape=MapOf(item=Anything(), meaning="metadata key"),
        note="Data for other tools that read the manifest. Shapes nothing and is not part of the digest.",
        merge=Merge.UPDATE,
        substitutes=True,
    ),
    Key(
        name="gpg-key",
        shape=Text(pattern=r"[A-Za-z0-9@.<>+_ -]+", meaning="a key id, fingerprint or address"),
        note="The key that signs the commit, unless the command line names another. Not part of the digest.",
        aliases=("gpg_key",),
    ),
)

INCLUDES = (
    Key(
        name="include",
        shape=_INCLUDE,
        note="Manifest files this one stands on, relative to it; or a mapping with keys in place of a file. "
        "Lists join with the included entries first and later files before earlier ones; other values come from the "
        "includer, then from the first file that has them. The same file twice is an error.",
        merge=Merge.OWN,
        example="include: [base.yaml, containers.yaml]",
    ),
    Key(
        name="arch-include",
        shape=MapOf(item=_INCLUDE, known=ARCHITECTURES, meaning="architecture"),
        note="Files included on one architecture only, after `include`.",
        merge=Merge.OWN,
        example="arch-include: {x86_64: grub-x86_64.yaml}",
    ),
    Key(
        name="conditional-include",
        shape=ListOf(item=_CONDITIONAL),
        note="Files included if every condition holds: `VARIABLE OPERATOR VALUE` with `==`, `!=`, `<`, `<=`, `>`, "
        "`>=` and a number, `true`, `false` or a text in quotes. Processed last.",
        merge=Merge.OWN,
        example="conditional-include: [{if: 'stream != \"stable\"', include: debug.yaml}]",
    ),
)

PACKAGES = (
    Key(
        name="repos",
        shape=ListOf(item=Text()),
        note="Repositories to install from, by their names in `repositories`. Mandatory.",
        merge=Merge.JOIN,
        example="repos: [debian, debian-security, debian-updates]",
    ),
    REPOSITORIES,
    Key(
        name="packages",
        shape=ListOf(item=PACKAGE),
        note="Packages to install. An entry is split at spaces, unless it is in single quotes inside its own text. "
        "`packages-ARCH` does the same on one architecture. Mandatory.",
        merge=Merge.JOIN,
        aliases=("bootstrap_packages",),
        example="packages: [podman, docker.io containerd]",
    ),
    Key(
        name="exclude-packages",
        shape=ListOf(item=PACKAGE),
        note="Packages that must not be in the tree. A hard dependency on one is an error, "
        "a recommendation is dropped.",
        merge=Merge.JOIN,
    ),
    Key(name="recommends", shape=Flag(), note="Install what packages recommend.", default="`true`"),
    Key(
        name="documentation",
        shape=Flag(refused={True: "documentation never reaches a node, licences always do"}),
        note="Keep manual pages and other documentation. Unlike rpm-ostree's, the default is off.",
        default="`false`",
    ),
)

CONTENT = (
    Key(
        name="units",
        shape=ListOf(item=UNIT),
        note="systemd units enabled in the tree.",
        merge=Merge.JOIN,
        example="units: [docker.socket]",
    ),
    Key(
        name="default-target",
        shape=Text(pattern=r"[A-Za-z0-9:_.@-]+\.target", meaning="a unit name that ends in .target"),
        note="Unit that the system boots to.",
        aliases=("default_target",),
        default="the packages' own",
    ),
    Key(
        name="add-files",
        shape=ListOf(item=Row(items=(_PATH, ABSOLUTE), names=("source", "target"))),
        note="Files copied into the tree, the source relative to the manifest file. A folder is copied with what is in "
        "it (beyond rpm-ostree). Modes are 0755 where the source is executable, else 0644. Targets: `/usr` (not "
        "`/usr/local`), `/etc`, `/bin`, `/sbin`, `/lib`, `/lib64`.",
        merge=Merge.JOIN,
        example="add-files: [[issue, /etc/issue], [overlay, /]]",
    ),
    Key(
        name="remove-files",
        shape=ListOf(item=_PATH),
        note="Paths removed from the finished tree.",
        merge=Merge.JOIN,
    ),
    Key(
        name="remove-from-packages",
        shape=ListOf(item=ListOf(item=Text(), least=2)),
        note="`[package, regular expression...]`: files of that package whose whole path matches are removed.",
        merge=Merge.JOIN,
        example="remove-from-packages: [[cpio, /usr/share/.*]]",
    ),
    Key(
        name="postprocess",
        shape=ListOf(item=Text()),
        note="Scripts run inside the tree, without network, after the packages are in. Included files' scripts come "
        "first. Without a `#!` line a script is run by `/bin/sh -e`.",
        merge=Merge.JOIN,
    ),
    Key(
        name="postprocess-script",
        shape=_PATH,
        note="A script file, run after all of `postprocess`.",
    ),
)

PLATFORM = (
    Key(
        name="boot-location",
        shape=Choice(
            options=("modules",),
            refused={
                "new": "kernel and initramfs are in /usr/lib/modules only",
                "kernel-install": "kernel and initramfs are in /usr/lib/modules only",
            },
        ),
        note="Where kernel and initramfs are in the tree.",
        aliases=("boot_location",),
        default="`modules`",
    ),
    Key(
        name="initramfs-args",
        shape=ListOf(item=Text(pattern=r"[^\s\x00][^\x00]*", meaning="an argument of dracut")),
        note="Arguments for dracut, besides our own.",
        merge=Merge.JOIN,
    ),
    Key(
        name="no-initramfs",
        shape=Flag(refused={True: "a slot without initramfs does not boot"}),
        note="Build no initramfs.",
        default="`false`",
    ),
    Key(
        name="machineid-compat",
        shape=Flag(refused={True: "the first start of a node is a first boot to systemd, which applies presets"}),
        note="Leave an empty `/etc/machine-id`. Unlike rpm-ostree's, the default is off.",
        default="`false`",
    ),
    Key(
        name="tmp-is-dir",
        shape=Flag(refused={False: "/tmp is always a directory, on which tmp.mount mounts a tmpfs"}),
        note="`/tmp` is a directory, not a link.",
        default="`true`",
    ),
    Key(
        name="selinux",
        shape=Flag(refused={True: "files are not labelled"}),
        note="Label files for SELinux. Unlike rpm-ostree's, the default is off.",
        default="`false`",
    ),
    Key(
        name="container",
        shape=Flag(refused={True: "trees are for nodes, with a kernel"}),
        note="The tree is for a container.",
        default="`false`",
    ),
    Key(
        name="opt-usrlocal",
        shape=Choice(
            options=("var",), refused={"root": "it needs a writable overlay", "stateoverlay": "it needs composefs"}
        ),
        note="`/opt` and `/usr/local` lead into `/var`.",
        default="`var`",
    ),
    Key(
        name="ignore-devices",
        shape=Flag(refused={False: "an OSTree commit holds no device nodes"}),
        note="Device nodes are left out of the commit.",
        default="`true`",
    ),
)


def _refused(name: str, reason: str, *aliases: str) -> Key:
    return Key(
        name=name, shape=Anything(), note="Known to rpm-ostree.", status=Status.REFUSED, reason=reason, aliases=aliases
    )


def _without_effect(name: str, reason: str, *aliases: str) -> Key:
    return Key(
        name=name,
        shape=Anything(),
        note="Known to rpm-ostree.",
        status=Status.NO_EFFECT,
        reason=reason,
        aliases=aliases,
    )


_IDS_FIXED = "every system account has its id in nestos.users or nestos.groups, and the compose checks it"
_LAYERS = "use add-files with a folder"

OTHERS = (
    _refused("lockfile-repos", "locked packages come from repos"),
    _refused("install-langs", "translations are always left out"),
    _refused("ostree-layers", _LAYERS),
    _refused("ostree-override-layers", _LAYERS),
    _refused("repo-packages", "lock the versions instead"),
    _refused("ima", "files carry no IMA signatures"),
    _refused("cliwrap", "commands are not wrapped"),
    _refused("cliwrap-binaries", "commands are not wrapped"),
    _refused("readonly-executables", "the system partition is read-only as a whole"),
    _refused("platform-module", "there are no RPM modules"),
    _refused("repovars", "give the values in repositories"),
    _refused("rojig", "rpm-ostree itself dropped it"),
    _without_effect("mutate-os-release", "os-release always carries the version"),
    _without_effect("etc-group-members", "all groups are in /etc/group, which keeps a node's own changes"),
    _without_effect("check-passwd", _IDS_FIXED),
    _without_effect("check-groups", _IDS_FIXED),
    _without_effect("ignore-removed-users", _IDS_FIXED),
    _without_effect("ignore-removed-groups", _IDS_FIXED),
    _without_effect("preserve-passwd", _IDS_FIXED),
    _without_effect("rpmdb", "the package database is written by the tree's own tools"),
    _without_effect("rpmdb-normalize", "the package database is always made repeatable"),
    _without_effect("selinux-label-version", "files are not labelled"),
    _without_effect("repo-metadata", "the commit lists its packages in nestos.packages", "repo_metadata"),
    _without_effect("advisories-metadata", "the commit lists its packages in nestos.packages"),
    _without_effect("container-cmd", "it is meant for OCI archives of the tree"),
)

SECTIONS: tuple[tuple[str, tuple[Key, ...]], ...] = (
    ("Identity", IDENTITY),
    ("Composition from files", INCLUDES),
    ("Packages", PACKAGES),
    ("Content", CONTENT),
    ("Platform", PLATFORM),
    ("Ours", (EXTENSION,)),
    ("Known to rpm-ostree, not done here", OTHERS),
)
"""The whole table in the order of the documentation."""

TABLE: tuple[Key, ...] = tuple(key for _, section in SECTIONS for key in section)

BY_NAME: dict[str, Key] = {key.name: key for key in TABLE}
