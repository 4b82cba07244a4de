from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from nestos.base.errors import CommandError, InputError
from nestos.host.process import Completed
from nestos.lab.scenario import Lab, Scenario, Transcript, collect, scenario, select


def declared(name: str, *tags: str) -> Scenario:
    return Scenario(name=name, function=lambda lab: None, minutes=1, tags=frozenset(tags))


KNOWN = [declared("first-boot", "default"), declared("power-cut", "long"), declared("power-cut-uefi", "long")]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], ["first-boot"]),
        (["all"], ["first-boot", "power-cut", "power-cut-uefi"]),
        (["long"], ["power-cut", "power-cut-uefi"]),
        (["power-cut"], ["power-cut"]),
        (["power-*", "first-boot"], ["first-boot", "power-cut", "power-cut-uefi"]),
    ],
    ids=["nothing asked", "all", "tag", "name", "pattern"],
)
def test_words_select(words: list[str], names: list[str]) -> None:
    assert [item.name for item in select(KNOWN, words)] == names


def test_a_word_that_selects_nothing_is_an_error() -> None:
    with pytest.raises(InputError, match=r'"firstboot" \(did you mean "first-boot"\?\)'):
        select(KNOWN, ["firstboot"])


def test_the_decorator_declares() -> None:
    @scenario("one", minutes=2, needs=["disk"], tags=["long"])
    def one(lab: Lab) -> None:
        """Does one thing.

        And more.
        """

    assert (one.name, one.minutes, one.needs, one.tags) == ("one", 2, ("disk",), frozenset({"long"}))
    assert one.summary == "Does one thing."


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of scenarios that can be imported as ``made_up_scenarios``."""
    folder = tmp_path / "made_up_scenarios"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "two.py").write_text(
        "from nestos.lab.scenario import scenario\n@scenario('b', minutes=1)\ndef b(lab): ...\n"
        "@scenario('a', minutes=1)\ndef a(lab): ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.startswith("made_up_scenarios")]:
        del sys.modules[name]


def test_scenarios_are_found_in_every_module(package: Path) -> None:
    (package / "one.py").write_text("from made_up_scenarios.two import a\n")
    assert [item.name for item in collect("made_up_scenarios")] == ["a", "b"]


def test_two_of_one_name_are_refused(package: Path) -> None:
    (package / "one.py").write_text(
        "from nestos.lab.scenario import scenario\n@scenario('b', minutes=1)\ndef b(lab): ...\n"
    )
    with pytest.raises(InputError, match="two scenarios are called b"):
        collect("made_up_scenarios")


def test_commands_and_their_output_are_kept(tmp_path: Path) -> None:
    def runner(command: Sequence[Any], /, **_: Any) -> Completed:
        if command[-1] == "false":
            raise CommandError("exit status 1 from: false", returncode=1, output="")
        return Completed(returncode=0, stdout="out\n", stderr="")

    transcript = Transcript(tmp_path / "one" / "ssh.log", runner=runner)
    transcript(["ssh", "--", "uptime"])
    with pytest.raises(CommandError):
        transcript(["ssh", "--", "false"])
    assert transcript.log.read_text() == "$ uptime\nout\n[0]\n$ false\nexit status 1 from: false\n"
