from __future__ import annotations

import pytest

from nestos.base.errors import CommandError, InputError, NestosError, NetworkError, SpaceError, VerificationError
from nestos.host.packages import apt_failures
from nestos.host.packages.backend import PackageSource, Request
from tests.unit.host.packages import recorded

SOURCE = PackageSource(name="debian", uri="http://mirror.example/debian", suite="trixie", components=("main",))
REQUEST = Request(packages=("jq",), excluded=("libjq1", "nano"), architecture="amd64", sources=(SOURCE,))


def failed(output: str) -> CommandError:
    return CommandError("exit status 100", returncode=100, output=output)


def test_every_missing_package_is_named_at_once() -> None:
    error = apt_failures.unresolved(failed(recorded.MISSING), REQUEST)
    assert isinstance(error, InputError)
    assert str(error) == "not in the archive (trixie, amd64): mail-transport-agent, nosuch1, nosuch2"


def test_a_version_that_is_gone_is_missing() -> None:
    error = apt_failures.unresolved(failed(recorded.NO_SUCH_VERSION), REQUEST)
    assert str(error) == "not in the archive (trixie, amd64): jq"


def test_an_excluded_package_that_others_need_is_named_with_them() -> None:
    error = apt_failures.unresolved(failed(recorded.EXCLUDED_NEEDED), REQUEST)
    assert isinstance(error, InputError)
    assert str(error).splitlines() == [
        "excluded packages are needed by others: libjq1",
        "  jq : Depends: libjq1 (= 1.7.1-6+deb13u4) but it is not installable",
        "  less : PreDepends: libjq1",
    ]


def test_packages_that_exclude_each_other_are_shown_as_apt_says_it() -> None:
    error = apt_failures.unresolved(failed(recorded.CONFLICT), REQUEST)
    assert isinstance(error, InputError)
    assert "cannot be installed together" in str(error)
    assert "systemd-sysv : Conflicts: sysvinit-core" in str(error)
    assert "held broken packages" not in str(error)


@pytest.mark.parametrize(
    ("output", "kind", "words"),
    [
        (recorded.NO_HOST, NetworkError, ["no.such.host.invalid", "Could not resolve"]),
        (recorded.REFUSED, NetworkError, ["http://127.0.0.1:9/debian", "Unable to connect"]),
        (recorded.NO_RELEASE, NetworkError, ["http://mirror.example/debian trixie", "does not have a Release file"]),
        (recorded.DEB_404, NetworkError, ["jq_1.7.1_amd64.deb", "404"]),
        (recorded.DEB_BROKEN_OFF, NetworkError, ["http://mirror.example", "libjq1_1.7.1_amd64.deb"]),
        (recorded.UNSIGNED, VerificationError, ["http://mirror.example/debian trixie InRelease", "is not signed"]),
        (recorded.DEB_GARBLED, VerificationError, ["jq_1.7.1-6_amd64.deb", "Hash Sum mismatch"]),
        (recorded.FULL, SpaceError, ["No space left on device"]),
    ],
    ids=["no host", "refused", "no release", "404", "broken off", "unsigned", "garbled", "full disk"],
)
def test_what_cannot_be_fetched_is_named_with_its_source(
    output: str, kind: type[NestosError], words: list[str]
) -> None:
    error = apt_failures.unfetched(failed(output))
    assert type(error) is kind
    assert all(word in str(error) for word in words)


def test_many_failures_are_counted() -> None:
    lines = "\n".join(f"E: Failed to fetch http://mirror.example/{number}  Connection failed" for number in range(40))
    text = str(apt_failures.unfetched(failed(lines)))
    assert len(text.splitlines()) == 14
    assert text.endswith("and 28 more")


@pytest.mark.parametrize("output", ["", "E: something new"])
def test_an_unknown_text_stays_the_error_of_the_command(output: str) -> None:
    error = failed(output)
    assert apt_failures.unfetched(error) is error
    assert apt_failures.unresolved(error, REQUEST) is error
