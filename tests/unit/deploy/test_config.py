from __future__ import annotations

from pathlib import Path

import pytest

from nestos.base.errors import InputError
from nestos.base.paths import Root
from nestos.deploy import config
from nestos.deploy.config import Settings


def _write(root: Path, folder: str, name: str, text: str) -> None:
    target = root / folder.lstrip("/") / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


USR, ETC, RUN = config.FOLDERS


def test_a_node_without_files_has_the_defaults(tmp_path: Path) -> None:
    assert config.load(Root(tmp_path)) == Settings()


def test_later_files_win_key_by_key(tmp_path: Path) -> None:
    _write(tmp_path, USR, "10-defaults.conf", "[update]\nurl = http://a\nref = x/y\n[boot]\ntries = 1\n")
    _write(tmp_path, ETC, "20-mine.conf", "[update]\nurl = https://b/repo/\n")
    assert config.load(Root(tmp_path)) == Settings(update_url="https://b/repo", update_ref="x/y", boot_tries=1)


def test_a_file_in_etc_replaces_the_one_of_the_same_name(tmp_path: Path) -> None:
    _write(tmp_path, USR, "10-defaults.conf", "[update]\nurl = http://a\nref = x/y\n")
    _write(tmp_path, ETC, "10-defaults.conf", "[update]\nurl = http://b\n")
    assert config.load(Root(tmp_path)) == Settings(update_url="http://b")


def test_a_link_to_dev_null_masks(tmp_path: Path) -> None:
    _write(tmp_path, USR, "10-defaults.conf", "[boot]\ntries = 3\n")
    (tmp_path / ETC.lstrip("/")).mkdir(parents=True)
    (tmp_path / ETC.lstrip("/") / "10-defaults.conf").symlink_to("/dev/null")
    assert config.load(Root(tmp_path)) == Settings()


def test_run_is_the_last_word(tmp_path: Path) -> None:
    _write(tmp_path, ETC, "a.conf", "[boot]\ntries = 1\n")
    _write(tmp_path, RUN, "a.conf", "[boot]\ntries = 3\n")
    assert config.load(Root(tmp_path)).boot_tries == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("[update]\nurll = x\n", 'no key "urll" (did you mean "url"?)', id="unknown key"),
        pytest.param("[updates]\nurl = x\n", 'no section [updates] (did you mean "update"?)', id="unknown section"),
        pytest.param("[boot]\ntries = 4\n", '"4" is no whole number from 1 to 3', id="too many tries"),
        pytest.param("[boot]\ntries = two\n", '"two" is no whole number', id="no number"),
        pytest.param("[update]\nurl = updates.example\n", "no http, https or file URL", id="no URL"),
        pytest.param("[update]\nurl = https://\n", "no http, https or file URL", id="no host"),
        pytest.param("[update]\nref = a b\n", "no branch name", id="no ref"),
        pytest.param("url = x\n", "no section headers", id="no section"),
        pytest.param("[boot]\ntries = 1\ntries = 2\n", "already exists", id="twice"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    _write(tmp_path, ETC, "bad.conf", text)
    with pytest.raises(InputError) as caught:
        config.load(Root(tmp_path))
    assert said in str(caught.value)
    assert "bad.conf" in str(caught.value)


def test_all_findings_come_at_once(tmp_path: Path) -> None:
    _write(tmp_path, ETC, "bad.conf", "[boot]\ntries = 9\n[upd]\nurl = x\n")
    with pytest.raises(InputError) as caught:
        config.load(Root(tmp_path))
    assert len(str(caught.value).splitlines()) == 2


def test_a_boot_goes_on_with_what_is_right(tmp_path: Path) -> None:
    _write(tmp_path, ETC, "bad.conf", "[boot]\ntries = 9\ncheck_seconds = 7\n")
    settings, findings = config.examine(Root(tmp_path))
    assert settings == Settings(check_seconds=7)
    assert len(findings) == 1


def test_key_folders_that_are_missing_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "etc/nestos/keys").mkdir(parents=True)
    assert config.key_folders(Root(tmp_path)) == [tmp_path / "etc/nestos/keys"]
