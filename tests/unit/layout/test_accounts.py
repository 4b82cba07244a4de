from __future__ import annotations

from pathlib import Path

import pytest

from nestos.base.errors import InputError
from nestos.layout import accounts
from tests.unit.compose.trees import picture, plant

PASSWD = """\
root:x:0:0:root:/root:/bin/bash
_apt:x:42:65534::/nonexistent:/usr/sbin/nologin

sshd:x:989:65534::/run/sshd:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
GROUP = "root:x:0:\nusers:x:100:\ndocker:x:102:nest\nnogroup:x:65534:\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return plant(tmp_path, {"etc/passwd": PASSWD, "etc/group": GROUP})


def test_accounts_as_in_the_table_are_fine(tree: Path) -> None:
    accounts.check(tree, users={"sshd": 989, "unused": 500}, groups={"docker": 102, "users": 100})


def test_every_account_that_differs_is_named_with_its_id(tree: Path) -> None:
    (tree / "etc/passwd").write_text(PASSWD + "anna:x:1000:1000::/home/anna:/bin/bash\n")
    with pytest.raises(InputError) as caught:
        accounts.check(tree, users={"sshd": 101}, groups={"users": 100})
    assert str(caught.value).splitlines()[1:] == [
        "  user sshd: 989 (the table says 101)",
        "  user anna: 1000 (an ordinary id; a release creates system accounts only)",
        "  group docker: 102 (not in the table)",
    ]
    assert "under nestos:" in caught.value.hint


def test_the_day_of_a_password_change_is_taken_out(tmp_path: Path) -> None:
    plant(tmp_path, {"etc/shadow": "root:*:20419:0:99999:7:::\nsshd:!*:20419::::::\n\n"})
    accounts.normalise(tmp_path / "etc")
    assert (tmp_path / "etc/shadow").read_text() == "root:*::0:99999:7:::\nsshd:!*:::::::\n"


def test_back_ups_and_locks_of_account_tools_go(tmp_path: Path) -> None:
    kept = {"etc/passwd": "", "etc/other-": ""}
    plant(tmp_path, {**kept, "etc/passwd-": "", "etc/gshadow-": "", "etc/subuid-": "", "etc/.pwd.lock": ""})
    accounts.normalise(tmp_path / "etc")
    assert picture(tmp_path) == {"etc/other-": "", "etc/passwd": ""}
