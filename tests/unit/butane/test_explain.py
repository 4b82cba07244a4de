"""What keys do, from the tables."""

from __future__ import annotations

import pytest

from nestos.butane import VARIANTS
from nestos.butane.explain import UnknownKeyError, explain, paths


def test_a_key_is_explained_with_what_it_holds_and_since_when() -> None:
    assert explain("$.storage.files.0.mode", variant="fcos") == (
        "$.storage.files.mode (whole number)\n"
        "  Permissions, in octal with a leading zero; 0644 if not set.\n"
        "  In fcos since the first version.\n"
    )


def test_an_object_is_explained_with_its_keys_in_the_asked_version() -> None:
    assert "  cex " in explain("storage.luks", variant="fcos")
    assert "  cex " not in explain("storage.luks", variant="fcos", version="1.5.0")
    assert "In fcos since 1.6.0." in explain("storage.luks[0].cex", variant="fcos")


@pytest.mark.parametrize(
    ("path", "version", "sentence"),
    [
        ("storage.flies", "", 'nestos 1.2.0 does not know $.storage.flies (did you mean "files"?)'),
        ("storage.files.mode.x", "", "nestos 1.2.0 does not know $.storage.files.mode"),
        ("containers", "1.1.0", "nestos 1.1.0 does not know $.containers"),
        ("boot_device", "1.1.0", "nestos 1.1.0 does not know $.boot_device"),
    ],
)
def test_a_key_that_is_not_known_is_told_with_the_nearest(path: str, version: str, sentence: str) -> None:
    with pytest.raises(UnknownKeyError) as caught:
        explain(path, variant="nestos", version=version)
    assert str(caught.value).startswith(sentence)


def test_every_key_says_what_it_does() -> None:
    for name, variant in VARIANTS.items():
        for version in variant.versions.values():
            silent = [path for path, item in paths(version.table, version.language) if not item.note]
            assert silent == [], f"{name} has keys without a note"
