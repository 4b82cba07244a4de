"""What both package backends do alike, with the real programs, against real archives with real faults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nestos.base.errors import InputError, NetworkError, VerificationError
from nestos.base.log import Progress
from nestos.compose import tools
from nestos.host.packages.backend import Resolution
from nestos.lab.webserver import Fault, FaultKind, WebServer
from tests.system.packages.worlds import DebianWorld, Item, RpmWorld, World, lacking, workspace

if lacking():
    pytest.skip(f"package backends are left out: {lacking()}", allow_module_level=True)

ITEMS = (
    Item(name="alpha", depends="beta"),
    Item(name="beta", version="2:1.5-3", recommends="gamma"),
    Item(name="gamma"),
    Item(name="delta", conflicts="gamma"),
    Item(name="lonely", depends="nobody"),
)
_KINDS = {DebianWorld: tools.Kind.BASE, RpmWorld: tools.Kind.RPM}


@pytest.fixture(params=[DebianWorld, RpmWorld], ids=["apt", "dnf"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    family = request.param
    box = tools.ensure(workspace().home, progress=Progress(), kind=_KINDS[family])
    folder = tmp_path / "world"
    folder.mkdir()
    made: World = family(folder=folder, tools=box.with_binds(folder, network=True))
    made.publish(ITEMS)
    with WebServer(made.archive) as made.server:
        yield made


def names(resolution: Resolution) -> set[str]:
    """Of all packages but the one that Debian's archive needs as its essential."""
    return {package.name for package in resolution.packages} - {"core"}


def test_what_is_needed_comes_and_what_is_recommended_only_if_asked_for(world: World) -> None:
    backend, request = world.backend(), world.request("alpha")
    plain = backend.resolve(request)
    assert names(plain) == {"alpha", "beta"}
    assert names(backend.resolve(replace(request, recommends=True))) == {"alpha", "beta", "gamma"}
    (beta,) = (package for package in plain.packages if package.name == "beta")
    assert beta.version == "2:1.5-3"
    assert beta.size_bytes == world.file_of("beta").stat().st_size
    assert [package.name for package in plain.packages] == sorted(package.name for package in plain.packages)


def test_the_same_archive_gives_the_same_answer(world: World) -> None:
    one, other = (world.backend().resolve(world.request("alpha", "gamma")) for _ in range(2))
    assert one == other


def test_every_missing_name_is_told_at_once(world: World) -> None:
    with pytest.raises(InputError) as caught:
        world.backend().resolve(world.request("alpha", "nosuch1", "gamna"))
    assert "nosuch1" in str(caught.value)
    assert "gamna" in str(caught.value)


def test_an_excluded_package_that_is_needed_is_an_error_and_one_that_is_recommended_is_left_out(world: World) -> None:
    with pytest.raises(InputError, match="excluded packages are needed by others: beta"):
        world.backend().resolve(world.request("alpha", excluded=["beta"]))
    request = replace(world.request("beta", excluded=["gamma"]), recommends=True)
    assert names(world.backend().resolve(request)) == {"beta"}


def test_what_cannot_stand_together_is_told(world: World) -> None:
    with pytest.raises(InputError, match="cannot be installed together") as caught:
        world.backend().resolve(world.request("gamma", "delta"))
    assert "delta" in str(caught.value)
    with pytest.raises(InputError, match="nobody"):
        world.backend().resolve(world.request("lonely"))


def test_a_pin_takes_that_version_or_says_that_it_is_gone(world: World) -> None:
    assert names(world.backend().resolve(world.request("beta", pins={"beta": "2:1.5-3"}))) == {"beta"}
    with pytest.raises(InputError, match="beta"):
        world.backend().resolve(world.request("beta", pins={"beta": "2:1.4-1"}))


def test_files_come_into_the_pool_and_a_damaged_one_comes_again(world: World) -> None:
    backend = world.backend()
    resolution = backend.resolve(world.request("alpha"))
    backend.fetch(resolution)
    (beta,) = (package for package in resolution.packages if package.name == "beta")
    (pooled,) = world.pool.glob(f"{beta.sha256}.*")
    whole = pooled.read_bytes()
    assert whole == world.file_of("beta").read_bytes()
    pooled.write_bytes(whole[:100])
    backend.fetch(resolution)
    assert pooled.read_bytes() == whole
    world.serving.forget_traffic()
    backend.fetch(resolution)
    assert not world.serving.traffic().requests


def test_a_mirror_that_does_not_answer_is_named(world: World) -> None:
    resolution = world.backend().resolve(world.request("alpha"))
    world.serving.inject(Fault(kind=FaultKind.STATUS, status=503))
    with pytest.raises(NetworkError, match="503"):
        world.backend().resolve(world.request("alpha"))
    with pytest.raises(NetworkError, match="503"):
        world.backend().fetch(resolution)
    world.serving.heal()
    world.backend().fetch(resolution)


def test_a_package_file_of_other_content_is_not_taken(world: World) -> None:
    backend = world.backend()
    resolution = backend.resolve(world.request("alpha"))
    file = world.file_of("beta")
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(VerificationError, match="beta"):
        backend.fetch(resolution)
    assert {path.stem for path in world.pool.iterdir() if path.suffix in (".deb", ".rpm")} <= {
        package.sha256 for package in resolution.packages if package.name != "beta"
    }


def test_an_index_that_is_not_what_was_signed_is_refused(world: World) -> None:
    (index,) = [*world.archive.rglob("InRelease"), *world.archive.rglob("repomd.xml")]
    text = index.read_text()
    index.write_text(text.replace("sha256", "sha256 ", 1) if "sha256" in text else text.replace("test", "tset", 1))
    with pytest.raises(VerificationError):
        world.backend().resolve(world.request("alpha"))
