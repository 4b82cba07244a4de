from __future__ import annotations

import pytest

from nestos.base.errors import InputError
from nestos.deploy import refspec

CURRENT = "nestos/x86_64/stable"


def branch(words: str = "", **more: str) -> str:
    return refspec.branch(words, current=CURRENT, own_remote="nestos", **more)


SPELLINGS = {
    "a branch": ("other/x86_64/next", {}, "other/x86_64/next"),
    "with the remote": ("nestos:other/x86_64/next", {}, "other/x86_64/next"),
    "with rpm-ostree's prefix": ("ostree://nestos:other/x86_64/next", {}, "other/x86_64/next"),
    "a stream": ("testing", {}, "nestos/x86_64/testing"),
    "the remote alone": ("nestos:", {}, CURRENT),
    "the option": ("", {"branch": "testing"}, "nestos/x86_64/testing"),
    "both options": ("", {"branch": "a/b", "remote": "nestos"}, "a/b"),
}


@pytest.mark.parametrize(("words", "more", "found"), SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_branch_is_named_in_many_ways(words: str, more: dict[str, str], found: str) -> None:
    assert branch(words, **more) == found


REFUSED = {
    "nothing": ("", {}, "say what to follow"),
    "twice": ("a/b", {"branch": "c/d"}, "say what to follow"),
    "an image": ("ostree-unverified-image:docker://quay.io/x/y:stable", {}, "container image"),
    "a signed image": ("ostree-image-signed:registry:quay.io/x/y", {}, "container image"),
    "an archive": ("ostree-unverified-image:oci-archive:/tmp/x.ociarchive", {}, "container image"),
    "a registry": ("docker://quay.io/x/y", {}, "container image"),
    "a local repository": ("/srv/repo:a/b", {}, "on this machine"),
    "another remote": ("fedora:a/b", {}, "no remote"),
    "another remote by its option": ("", {"remote": "fedora"}, "no remote"),
    "a commit": ("ab" * 32, {}, "not a branch"),
    "an option": ("", {"branch": "--force"}, "no branch name"),
}


@pytest.mark.parametrize(("words", "more", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_node_cannot_follow_is_refused(words: str, more: dict[str, str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        branch(words, **more)


def test_who_asks_for_an_image_is_told_what_is_supported() -> None:
    with pytest.raises(InputError) as caught:
        branch("oci-archive:/tmp/x.ociarchive")
    assert "REMOTE:BRANCH" in caught.value.hint
