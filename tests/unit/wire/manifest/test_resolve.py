"""The resolved manifest: defaults, values, and every way in which a key can be wrong."""

from __future__ import annotations

from datetime import date

import pytest

from nestos.wire.manifest import (
    Backend,
    Compression,
    RemovedFromPackage,
    Repository,
    RpmRepository,
    SystemUser,
)
from tests.unit.wire.manifest.book import LEAST, Book


def test_the_least_manifest_has_the_documented_defaults(book: Book) -> None:
    manifest = book.with_least("").good
    assert manifest.ref == "nestos/x86_64/stable"
    assert manifest.backend is Backend.APT
    assert manifest.repositories == (Repository(name="debian", address=None, archive="debian", suite="trixie"),)
    assert manifest.packages == ("systemd",)
    assert manifest.recommends is True
    assert manifest.version_prefix is None
    assert manifest.slot_size_bytes == 1 << 30
    assert manifest.compression.erofs == "zstd,3"


@pytest.mark.parametrize("key", ["ref", "repos", "packages"])
def test_a_mandatory_key_that_is_missing_is_named(book: Book, key: str) -> None:
    text = "\n".join(line for line in LEAST.splitlines() if not line.startswith(f"{key}:"))
    report = book.load({"main.yaml": text}).report
    assert [item.message.partition(":")[0] for item in report] == [f'"{key}" is missing']
    assert next(iter(report)).source.endswith("main.yaml")


def test_the_version_gets_the_release_and_the_day(book: Book) -> None:
    manifest = book.with_least('releasever: 13\nautomatic-version-prefix: "${releasever}.<date:%Y%m%d>"\n').good
    assert manifest.version_template == "13.<date:%Y%m%d>"
    assert manifest.version_prefix == "13.20261123"


def test_a_release_number_keeps_its_zeros(book: Book) -> None:
    manifest = book.with_least("releasever: 24.10\nautomatic-version-prefix: ${releasever}\n").good
    assert (manifest.releasever, manifest.version_prefix) == ("24.10", "24.10")


def test_variables_are_replaced_where_the_table_says_so(book: Book) -> None:
    manifest = book.with_least(
        "variables: {v: x, on: true}\n"
        "add-commit-metadata: {a: '${v}', b: 5, c: ['${v}']}\n"
        "metadata: {name: '${v}-${on}'}\n"
        "nestos: {kernel-package: 'linux-image-${debarch}'}\n"
    ).good
    assert manifest.commit_metadata == {"a": "x", "b": 5, "c": ["${v}"]}
    assert manifest.metadata == {"name": "x-true"}
    assert manifest.kernel_package == "linux-image-amd64"
    assert "linux-image-amd64" in manifest.packages


def test_packages_are_split_at_spaces_and_named_once(book: Book) -> None:
    text = LEAST.replace("[systemd]", '[a b, "c  a", d]')
    assert book.load({"main.yaml": text}).good.packages == ("a", "b", "c", "d")


def of_rpm(repository: str) -> str:
    """The least manifest of the dnf backend, with a repository of the given text."""
    return LEAST.replace("{suite: trixie}", repository) + "nestos: {backend: dnf}\n"


def test_a_quoted_package_query_stays_whole_for_dnf(book: Book) -> None:
    text = of_rpm("{baseurl: 'https://x.example/', gpgcheck: false}")
    text = text.replace("[systemd]", "[\"'podman >= 4.1'\", a]")
    assert book.load({"main.yaml": text}).good.packages == ("podman >= 4.1", "a")


def test_a_repository_may_have_an_address_archive_and_components(book: Book) -> None:
    text = (
        "ref: x\npackages: [a]\nvariables: {suite: trixie}\n"
        "repos: [updates, other]\n"
        "repositories:\n"
        "  updates: {suite: '${suite}-updates', archive: debian, components: [main, contrib]}\n"
        "  other: {suite: stable, packages-from: 'https://packages.example/apt'}\n"
    )
    manifest = book.load({"main.yaml": text}).good
    assert manifest.repositories == (
        Repository(name="updates", archive="debian", suite="trixie-updates", components=("main", "contrib")),
        Repository(name="other", archive="other", suite="stable", address="https://packages.example/apt"),
    )


def test_a_repository_of_rpm_packages_has_what_dnf_asks_for(book: Book) -> None:
    text = (
        "{baseurl: ['https://x.example/${releasever}/${basearch}/', 'file:///srv/x'], gpgkey: [keys/a.asc, "
        "'https://x.example/${releasever}/key'], repo-gpgcheck: true, priority: 10, exclude: ['kernel*']}"
    )
    key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
    repository = book.load({"main.yaml": of_rpm(text) + "releasever: 9\n", "keys/a.asc": key}).good.repositories[0]
    assert repository.suite == ""
    assert repository.rpm == RpmRepository(
        addresses=("https://x.example/9/x86_64/", "file:///srv/x"),
        keys=(key, "https://x.example/9/key"),
        check_packages=True,
        check_index=True,
        priority=10,
        excluded=("kernel*",),
    )


def test_a_list_of_mirrors_stands_for_an_address(book: Book) -> None:
    text = of_rpm("{metalink: 'https://x.example/list?arch=${basearch}', gpgcheck: false}")
    rpm = book.load({"main.yaml": text}).good.repositories[0].rpm
    assert rpm is not None
    assert (rpm.metalink, rpm.addresses, rpm.check_packages) == ("https://x.example/list?arch=x86_64", (), False)


@pytest.mark.parametrize(
    ("repository", "error"),
    [
        ("{gpgcheck: false}", 'needs a "baseurl" or a "metalink"'),
        ("{baseurl: 'https://x.example/'}", 'needs a "gpgkey"; "gpgcheck: false" takes packages that nobody signed'),
        ("{baseurl: 'https://x.example/', gpgkey: none.asc}", "none.asc: No such file or directory"),
        ("{baseurl: 'https://x.example/', gpgkey: main.yaml}", "is not an OpenPGP public key in armour"),
        ("{baseurl: 'ftp://x.example/', gpgcheck: false}", "an http, https or file address"),
        (
            "{baseurl: 'https://x.example/', gpgcheck: false, suite: a}",
            '"suite" of the repository "debian" is for the apt',
        ),
    ],
    ids=["nowhere", "no key", "lost key", "no armour", "other scheme", "suite"],
)
def test_a_repository_of_rpm_packages_that_cannot_be_used_says_why(book: Book, repository: str, error: str) -> None:
    assert error in " ".join(book.load({"main.yaml": of_rpm(repository)}).errors)


def test_what_is_for_dnf_is_refused_by_the_apt_backend(book: Book) -> None:
    text = LEAST.replace("{suite: trixie}", "{suite: trixie, priority: 5}")
    assert '"priority" of the repository "debian" is for the dnf backend' in book.load({"main.yaml": text}).errors


def test_scripts_get_an_interpreter_and_the_script_file_runs_last(book: Book) -> None:
    manifest = book.with_least(
        "postprocess-script: last.sh\npostprocess:\n  - echo one\n  - |\n    #!/usr/bin/python3\n    pass\n",
        last_sh="#!/bin/bash\necho last\n",
    ).good
    assert [script.text.splitlines()[0] for script in manifest.scripts] == [
        "#!/bin/sh -e",
        "#!/usr/bin/python3",
        "#!/bin/bash",
    ]
    assert manifest.scripts[0].origin.endswith("main.yaml:7")


def test_system_accounts_have_their_numbers(book: Book) -> None:
    manifest = book.with_least(
        "nestos:\n"
        "  groups: {docker: 900, tss: 901}\n"
        "  users: {tss: 905, web: 906, core: {uid: 907, gid: 900, shell: /bin/sh, home: /var/core, description: Me}}\n"
    ).good
    assert manifest.system_groups == {"docker": 900, "tss": 901}
    assert manifest.system_users == {
        "tss": SystemUser(uid=905, gid=901),
        "web": SystemUser(uid=906, gid=906),
        "core": SystemUser(uid=907, gid=900, shell="/bin/sh", home="/var/core", description="Me"),
    }


def test_removals_keep_their_patterns(book: Book) -> None:
    manifest = book.with_least("remove-files: [usr/games]\nremove-from-packages: [[cpio, /usr/share/.*, /x]]\n").good
    assert manifest.remove_files == ("usr/games",)
    assert manifest.remove_from_packages == (RemovedFromPackage(package="cpio", patterns=("/usr/share/.*", "/x")),)


@pytest.mark.parametrize(
    ("size", "in_bytes"),
    [("1 GiB", 1 << 30), ("512MiB", 512 << 20), ("8192", 8192), ("4 KiB", 4096), ("4096 B", 4096)],
)
def test_sizes_have_binary_units(book: Book, size: str, in_bytes: int) -> None:
    assert book.with_least(f"nestos: {{slot-size: {size}}}\n").good.slot_size_bytes == in_bytes


@pytest.mark.parametrize(
    ("text", "compression", "erofs"),
    [
        ("{algorithm: none}", Compression(algorithm="none", level=None), ""),
        ("{algorithm: lz4}", Compression(algorithm="lz4", level=None), "lz4"),
        (
            "{algorithm: lz4hc, level: 12, cluster-size: 128 KiB}",
            Compression(algorithm="lz4hc", level=12, cluster_size_bytes=131072),
            "lz4hc,12",
        ),
    ],
)
def test_compression_is_what_mkfs_erofs_takes(book: Book, text: str, compression: Compression, erofs: str) -> None:
    found = book.with_least(f"nestos: {{compression: {text}}}\n").good.compression
    assert (found, found.erofs) == (compression, erofs)


def test_a_key_may_be_written_as_rpm_ostree_once_did(book: Book) -> None:
    assert book.with_least("default_target: a.target\n").good.default_target == "a.target"
    assert '"default_target" and "default-target" are the same key' in " ".join(
        book.with_least("default-target: a.target\ndefault_target: b.target\n").errors
    )


def test_json_manifests_may_hold_comments_as_keys(book: Book) -> None:
    text = '{"ref": "x", "packages": ["a"], "comment-packages": "why", "repos": [], "units": ["a.service"]}'
    assert book.load({"main.json": text}, main="main.json").good.units == ("a.service",)
    assert book.with_least("comment-packages: why\n").errors


WRONG = {
    "unknown": ("pakages: [a]", 'unknown key "pakages" (did you mean "packages"?)'),
    "unknown-nested": ("nestos: {slotsize: 5}", 'unknown key "slotsize" (did you mean "slot-size"?)'),
    "unknown-repository-field": ("include: {repositories: {a: {siute: x, suite: y}}}", 'did you mean "suite"?'),
    "architecture": ("packages-amd64: [a]", 'unknown architecture "amd64"'),
    "architecture-include": ("arch-include: {x86-64: a.yaml}", 'did you mean "x86_64"?'),
    "architecture-shape": ("packages-aarch64: true", "must be a list of texts, not the boolean true"),
    "no-list": ("units: a.service", "must be a list of texts"),
    "nothing": ("units:", "must be a list of texts, not nothing"),
    "number-in-list": ("units: [5]", 'write it in quotes: "5"'),
    "norway": ("recommends: no", "YAML 1.2 knows only true and false"),
    "unit": ("units: [docker]", "it must be a unit name with its suffix"),
    "target": ("default-target: multi-user", "ends in .target"),
    "package-option": ("exclude-packages: [--force]", "is not usable here"),
    "package-option-behind": ("exclude-packages: [a --force]", '"--force" is not a package name'),
    "empty": ("releasever: ''", "must not be empty"),
    "ref-variable": ("automatic-version-prefix: ${strem}\nvariables: {stream: a}", 'did you mean "stream"?'),
    "reserved": ("variables: {basearch: x}", 'the variable "basearch" defines itself'),
    "variable-list": ("variables: {x: [1]}", "must be a text, a number or a boolean, not a list"),
    "date": ("automatic-version-prefix: 1.<date:%H>", '"%H" in <date:%H> is not known'),
    "suffix": ("automatic-version-suffix: '--'", "one ASCII character"),
    "repository": ("include: {repos: [debain]}", 'no repository "debain" is defined in "repositories" (did you mean'),
    "suite": ("include: {repositories: {x: {}}}", 'the repository "x" needs a "suite"'),
    "address": (
        "include: {repositories: {x: {suite: a, packages-from: ftp://a}}}",
        '"system" or an http or https address',
    ),
    "excluded": ("exclude-packages: [systemd]", '"systemd" is excluded here and wanted in "packages"'),
    "query": ("packages-x86_64: [\"'a >= 1'\"]", "version queries are not supported by the apt backend"),
    "regular-expression": ("remove-from-packages: [[a, '(']]", "is not a regular expression"),
    "removal-without-pattern": ("remove-from-packages: [[a]]", "needs at least 2 entries"),
    "removal-outside": ("remove-files: [usr/../../x]", "is not a path inside the tree"),
    "removal-of-all": ("remove-files: [/]", "is not a path inside the tree"),
    "same-uid": ("nestos: {users: {a: 5, b: {uid: 5}}}", '"b" and "a" have the same id 5'),
    "same-gid": ("nestos: {groups: {a: 5, b: 5}}", '"b" and "a" have the same id 5'),
    "account-name": ("nestos: {groups: {'a b': 5}}", "is not a usable group name"),
    "account-colon": ("nestos: {users: {a: {uid: 1, home: 'x:y'}}}", "is not usable here"),
    "size": ("nestos: {slot-size: 1 GB}", 'a size such as "1 GiB"'),
    "size-odd": ("nestos: {slot-size: 5000}", "must be a multiple of 4096"),
    "size-kind": ("nestos: {slot-size: 1.5}", 'must be bytes, or text such as "1 GiB", not the number 1.5'),
    "level": ("nestos: {compression: {algorithm: lz4hc, level: 13}}", "lz4hc has levels up to 12"),
    "no-levels": ("nestos: {compression: {algorithm: lz4, level: 1}}", "lz4 has no levels"),
    "cluster": ("nestos: {compression: {algorithm: lz4, cluster-size: 12 KiB}}", "power of two from 4 KiB"),
    "algorithm": ("nestos: {compression: {level: 1}}", '"algorithm" is missing'),
    "karg": ("nestos: {boot: {kargs: ['quiet splash']}}", "one kernel argument without spaces"),
    "karg-injection": ("nestos: {boot: {kargs: ['a\"; reboot']}}", "one kernel argument"),
    "backend": ("nestos: {backend: yum}", "must be `apt` or `dnf`"),
    "condition-key": ("conditional-include: [{if: basearch == 'a', include: y, when: z}]", 'unknown key "when"'),
    "script-file": ("postprocess-script: missing.sh", "cannot read"),
    "edition": ("edition: 2014", '"2014" is not supported: trees always follow the 2024 defaults'),
    "boot-location": ("boot-location: new", '"new" is not supported: kernel and initramfs are in'),
    "tmp": ("tmp-is-dir: false", "false is not supported: /tmp is always a directory"),
    "selinux": ("selinux: true", "true is not supported: files are not labelled"),
    "layers": ("ostree-layers: [a]", '"ostree-layers" is not supported by this backend: use add-files'),
    "tries": ("nestos: {boot: {tries: 2}}", '"tries" is not supported by this backend: it is a node\'s setting'),
    "initramfs": ("no-initramfs: true", "a slot without initramfs does not boot"),
    "container": ("container: true", "trees are for nodes"),
    "lockfile-repos": ("lockfile-repos: [debian]", "locked packages come from repos"),
    "cliwrap": ("cliwrap: true", '"cliwrap" is not supported by this backend'),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_with_a_key_is_said_at_its_place(book: Book, text: str, message: str) -> None:
    loaded = book.with_least(text + "\n")
    assert loaded.manifest is None
    assert len(loaded.errors) == 1, loaded.errors
    assert message in loaded.errors[0]
    finding = next(iter(loaded.report))
    assert finding.line >= 5
    assert finding.column >= 1


@pytest.mark.parametrize("key", ["ref", "repos", "packages", "repositories"])
def test_a_mandatory_key_that_is_wrong_is_not_called_missing_too(book: Book, key: str) -> None:
    lines = [f"{key}: 5" if line.startswith(f"{key}:") else line for line in LEAST.splitlines()]
    errors = book.load({"main.yaml": "\n".join(lines)}).errors
    assert len(errors) == 1
    assert errors[0].startswith("must be")


def test_all_findings_of_a_file_come_at_once(book: Book) -> None:
    loaded = book.with_least("\n".join(text for name, (text, _) in WRONG.items() if not text.startswith("nestos")))
    assert len(loaded.errors) > 15


def test_a_key_without_effect_is_a_warning_and_the_manifest_is_usable(book: Book) -> None:
    loaded = book.with_least("rpmdb: sqlite\nrepo_metadata: inline\n")
    assert loaded.manifest is not None
    assert len(loaded.warnings) == 2
    assert '"rpmdb" has no effect' in loaded.warnings[0]


@pytest.mark.parametrize("text", ["edition: 2024", "edition: '2024'", "boot_location: modules", "selinux: false"])
def test_values_that_are_the_case_anyway_are_accepted(book: Book, text: str) -> None:
    assert book.with_least(text + "\n").good


def test_the_day_is_only_what_the_caller_says(book: Book) -> None:
    files = {"main.yaml": LEAST + "automatic-version-prefix: 1.<date:%j>\n"}
    assert book.load(files, today=date(2027, 1, 2)).good.version_prefix == "1.002"
