from __future__ import annotations

from nestos.host.packages.backend import Package, Resolution, by_name


def package(name: str, *, size: int = 10, installed: int = 0) -> Package:
    return Package(
        name=name,
        version="1",
        architecture="amd64",
        digest=f"sha256:{name}",
        size_bytes=size,
        uri="",
        installed_bytes=installed,
    )


def test_sizes_are_summed_and_an_unknown_one_is_reckoned_from_the_file() -> None:
    resolution = Resolution(packages=(package("a", installed=25), package("b", size=5)), timestamp=0)
    assert (resolution.download_bytes, resolution.installed_bytes) == (15, 45)


def test_the_hexadecimal_part_of_a_digest() -> None:
    assert package("abc").sha256 == "abc"


def test_packages_are_found_by_name() -> None:
    one, two = package("a"), package("b")
    assert by_name([one, two]) == {"a": one, "b": two}
