"""The foundry's own rules: Debian's words in RPM's. What it writes is read by the real rpm in the other modules."""

from __future__ import annotations

import stat

import pytest

from tests.foundry import conversion, relations
from tests.foundry.deb import Deb, Entry, groups, parse_fields
from tests.foundry.rpmfile import Dependency, FileFlag, Sense


@pytest.mark.parametrize(
    ("debian", "rpm"),
    [
        ("1.0", "1.0-0"),
        ("1.0-2", "1.0-2"),
        ("2:1.0~rc1-3+deb13u1", "2:1.0~rc1-3+deb13u1"),
        ("0:1.0-1", "1.0-1"),
        ("1.0-beta-1", "1.0.beta-1"),
    ],
)
def test_a_debian_version_has_one_form_in_rpm(debian: str, rpm: str) -> None:
    assert str(relations.package_evr(debian)) == rpm


def test_relations_keep_their_comparisons_and_alternatives() -> None:
    found = [relations.group(one) for one in groups("a (>= 1:2-1), b:any | c (<< 3), d (>> 4~)")]
    assert found == [
        Dependency(name="a", sense=Sense.GREATER | Sense.EQUAL, version="1:2-1"),
        Dependency(name="(b or c < 3)"),
        Dependency(name="d", sense=Sense.GREATER, version="4~"),
    ]
    with pytest.raises(ValueError, match="not a relation"):
        groups("A B C")


def a_deb(*, control: dict[str, str] | None = None, entries: tuple[Entry, ...] = (), **fields: str) -> Deb:
    base = {"Package": "alpha", "Version": "1-1", "Architecture": "amd64"}
    return Deb(fields=base | fields, entries=entries, control=control or {})


def test_breaks_are_conflicts_and_files_keep_owner_mode_and_kind() -> None:
    entries = (
        Entry(path="/etc/alpha.conf", mode=stat.S_IFREG | 0o640, user="root", group="shadow", content=b"x"),
        Entry(path="/usr/share/doc/alpha/copyright", mode=stat.S_IFREG | 0o644, user="root", group="root"),
        Entry(path="/usr/share/doc/alpha/changelog.gz", mode=stat.S_IFREG | 0o644, user="root", group="root"),
    )
    one = a_deb(entries=entries, control={"conffiles": "/etc/alpha.conf\n"}, Breaks="beta (<< 2)", Provides="mta")
    made = conversion.rpm(one, in_base=False)
    assert made.conflicts == (Dependency(name="beta", sense=Sense.LESS, version="2"),)
    assert made.provides == (Dependency(name="mta"),)
    assert made.requires == (Dependency(name=conversion.ESSENTIAL, sense=Sense.SCRIPT_PRE),)
    assert [(file.path, file.group, file.flags) for file in made.files] == [
        ("/etc/alpha.conf", "shadow", FileFlag.CONFIG | FileFlag.NOREPLACE),
        ("/usr/share/doc/alpha/copyright", "root", FileFlag.LICENSE),
        ("/usr/share/doc/alpha/changelog.gz", "root", FileFlag.DOC),
    ]


def test_maintainer_scripts_become_scriptlets_and_path_triggers_become_triggers() -> None:
    control = {
        "preinst": "#!/bin/sh\necho before\n",
        "postinst": "#!/bin/sh\n",
        "triggers": "interest-noawait /usr/share/x\ninterest ldconfig\nactivate other\n",
    }
    made = conversion.rpm(a_deb(control=control), in_base=False)
    assert "echo before" in made.pre
    assert '/usr/lib/foundry/alpha.postinst configure ""' in made.posttrans
    assert "DPKG_MAINTSCRIPT_PACKAGE=alpha" in made.posttrans
    assert made.trigger_paths == ("/usr/share/x", "/usr/lib")
    assert 'triggered "/usr/share/x /usr/lib"' in made.trigger
    assert [file.path for file in made.files] == ["/usr/lib/foundry/alpha.postinst"]
    assert conversion.rpm(a_deb(control=control), in_base=True).pre == ""


def test_what_the_essential_packages_need_is_their_closure() -> None:
    stanzas = {
        "core": parse_fields("Package: core\nEssential: yes\nPre-Depends: libc, awk\n"),
        "libc": parse_fields("Package: libc\n"),
        "mawk": parse_fields("Package: mawk\nProvides: awk\nDepends: libc (>= 2)\n"),
        "editor": parse_fields("Package: editor\nDepends: libc\n"),
    }
    assert conversion.closure(stanzas) == {"core", "libc", "mawk"}
