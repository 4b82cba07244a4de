from __future__ import annotations

from pathlib import Path

from nestos.host.packages import accounts
from nestos.host.packages.backend import AccountFiles

TABLE = AccountFiles(
    users={"sshd": (989, 65534, "", "/run/sshd", "/usr/sbin/nologin"), "root": (0, 0, "", "/", "/bin/sh")},
    groups={"docker": 102, "root": 0},
)


def test_what_the_files_lack_is_appended_and_what_they_have_stays(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (tmp_path / "group").write_text("root:x:0:\n")
    accounts.add(tmp_path, TABLE)
    accounts.add(tmp_path, TABLE)
    assert (tmp_path / "passwd").read_text().splitlines() == [
        "root:x:0:0:root:/root:/bin/bash",
        "sshd:x:989:65534::/run/sshd:/usr/sbin/nologin",
    ]
    assert (tmp_path / "group").read_text().splitlines() == ["root:x:0:", "docker:x:102:"]
    assert not (tmp_path / "shadow").exists()


def test_shadow_files_that_are_there_get_locked_entries(tmp_path: Path) -> None:
    for name in ("shadow", "gshadow"):
        (tmp_path / name).write_text("")
    accounts.add(tmp_path, TABLE)
    assert (tmp_path / "shadow").read_text().splitlines() == ["root:!*:::::::", "sshd:!*:::::::"]
    assert "docker:!::" in (tmp_path / "gshadow").read_text().splitlines()
