from __future__ import annotations

from collections.abc import Mapping

import pytest

from nestos.deploy import compare
from nestos.deploy.live_changes import LiveChanges, decide
from nestos.ostree.commits import Difference

HTOP = {"htop": "3"}
ADDED = (
    "/usr/bin/htop",
    "/usr/etc/htop",
    "/usr/etc/htop/htoprc",
    "/usr/lib/systemd/system/htop.service",
    "/usr/lib/systemd/system/htop.service.d",
    "/usr/lib/systemd/system/htop.service.d/limits.conf",
)
MODIFIED = (
    "/usr/lib/sysimage/dpkg/status",
    "/usr/etc/ld.so.cache",
    "/usr/etc/passwd",
    "/usr/lib/modules/6.12/initramfs.img",
)


def changes(
    *,
    added: tuple[str, ...] = ADDED,
    removed: tuple[str, ...] = (),
    modified: tuple[str, ...] = MODIFIED,
    new: Mapping[str, str] = HTOP,
    old: Mapping[str, str] | None = None,
    live: Mapping[str, str] | None = None,
    accounts: tuple[str, ...] = (),
    boot_settings: tuple[str, ...] = (),
) -> LiveChanges:
    base = {"less": "1"} | dict(old or {})
    return decide(
        Difference(added=added, removed=removed, modified=modified),
        compare.difference(base, {"less": "1"} | dict(new)),
        live=live,
        accounts=accounts,
        boot_settings=boot_settings,
    )


def test_what_a_package_adds_appears_with_the_database_that_knows_it() -> None:
    found = changes()
    assert found.problems == ()
    assert set(ADDED) | {"/usr/lib/sysimage/dpkg/status"} == set(found.files)
    assert list(found.files) == sorted(found.files)
    assert found.etc == ("/usr/etc/htop", "/usr/etc/htop/htoprc")
    assert found.units == ("htop.service",)


def test_what_only_the_next_boot_reads_is_left_to_it() -> None:
    found = changes(added=("/usr/lib/modules/6.12/vmlinuz",))
    assert (found.problems, found.files) == ((), ("/usr/lib/sysimage/dpkg/status",))


def test_the_linkers_cache_stays_or_it_would_hide_that_of_every_later_release() -> None:
    assert "/usr/etc/ld.so.cache" not in changes().files


PROBLEMS: dict[str, tuple[LiveChanges, str]] = {
    "a package removed": (changes(old={"nano": "8"}), "the package nano is removed"),
    "a package changed": (changes(old={"htop": "2"}), "the package htop changes from 2 to 3"),
    "a file changed": (changes(modified=("/usr/bin/less",)), "/usr/bin/less changes"),
    "a file gone": (changes(removed=("/usr/bin/less",)), "/usr/bin/less goes"),
    "a setting of a service that runs": (
        changes(added=("/usr/lib/systemd/system/ssh.service.d/x.conf",)),
        "changes ssh.service, which has to be restarted",
    ),
    "a generator of units": (changes(added=("/usr/lib/systemd/system-generators/g",)), "read by systemd itself"),
    "a kernel module": (changes(added=("/usr/lib/modules/6.12/extra/x.ko",)), "is the kernel's"),
    "a folder of libraries": (changes(added=("/usr/etc/ld.so.conf.d/x.conf",)), "where programs find their libraries"),
    "a path at the top": (changes(added=("/srv2",)), "/srv2 is outside of /usr"),
    "an account": (changes(accounts=("redis",)), "the system account redis is new"),
    "kernel arguments": (changes(boot_settings=("the kernel's arguments",)), "only a boot reads it"),
    "what is live and staged no more": (changes(live={"strace": "6"}), "the package strace is live"),
    "what is live in another version": (changes(live={"htop": "2"}), "the package htop is live"),
}


@pytest.mark.parametrize(("found", "sentence"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_what_needs_a_restart_is_told_and_brings_nothing(found: LiveChanges, sentence: str) -> None:
    assert any(sentence in problem for problem in found.problems)
    assert (found.files, found.etc) == ((), ())


def test_every_problem_is_told_at_once() -> None:
    found = changes(old={"nano": "8"}, removed=("/usr/bin/less",), accounts=("redis",))
    assert len(found.problems) == 3
