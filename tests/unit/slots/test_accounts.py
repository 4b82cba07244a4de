from __future__ import annotations

import pytest

from nestos.slots import accounts

ROOT = "root:x:0:0:root:/root:/bin/bash\n"
DAEMON = "daemon:x:1:1:daemon:/:/usr/sbin/nologin\n"
ADMIN = "ann:x:1000:1000:Ann:/home/ann:/bin/bash\n"
NEW_USER = "_chrony:x:980:980:Chrony:/var/lib/chrony:/usr/sbin/nologin\n"


def passwd(*, old: str, edited: str, new: str) -> tuple[str, tuple[str, ...]]:
    merged = accounts.merge(old={"passwd": old}, edited={"passwd": edited}, new={"passwd": new})
    return merged.texts["passwd"], merged.notes


def group(*, old: str, edited: str, new: str) -> str:
    return accounts.merge(old={"group": old}, edited={"group": edited}, new={"group": new}).texts["group"]


PASSWD = {
    "a user that the release added arrives behind the node's own": (
        ROOT,
        ROOT + ADMIN,
        ROOT + NEW_USER,
        ROOT + ADMIN + NEW_USER,
    ),
    "a user that the node added stays": (ROOT, ADMIN + ROOT, ROOT, ADMIN + ROOT),
    "a user that the release removed goes": (ROOT + DAEMON, ROOT + DAEMON + ADMIN, ROOT, ROOT + ADMIN),
    "a user that the node removed stays away": (ROOT + DAEMON, ROOT, ROOT + DAEMON, ROOT),
    "a field that only the release changed follows it": (
        ROOT + DAEMON,
        ADMIN + ROOT + DAEMON,
        ROOT + DAEMON.replace(":/:", ":/var:"),
        ADMIN + ROOT + DAEMON.replace(":/:", ":/var:"),
    ),
    "fields that each side changed are joined": (
        DAEMON,
        DAEMON.replace("nologin", "false"),
        DAEMON.replace(":/:", ":/var:"),
        DAEMON.replace("nologin", "false").replace(":/:", ":/var:"),
    ),
    "comments and compat lines stay where they are": (
        ROOT,
        "# note\n" + ROOT + "+::::::\n",
        ROOT + DAEMON,
        "# note\n" + ROOT + "+::::::\n" + DAEMON,
    ),
    "a missing newline at the end is mended": (ROOT, ROOT + ADMIN.strip(), ROOT, ROOT + ADMIN),
}


@pytest.mark.parametrize(("old", "edited", "new", "expected"), PASSWD.values(), ids=PASSWD.keys())
def test_users(old: str, edited: str, new: str, expected: str) -> None:
    assert passwd(old=old, edited=edited, new=new) == (expected, ())


def test_a_field_that_both_changed_stays_the_nodes_and_is_told() -> None:
    text, notes = passwd(
        old=DAEMON, edited=DAEMON.replace("nologin", "false"), new=DAEMON.replace("/usr/sbin/nologin", "/bin/sh")
    )
    assert text == DAEMON.replace("nologin", "false")
    assert notes == ("passwd: field 7 of daemon was changed here and by the release; ours stays",)


def test_a_user_that_the_release_removed_stays_if_the_node_changed_it() -> None:
    text, notes = passwd(old=DAEMON, edited=DAEMON.replace("nologin", "bash"), new="")
    assert text == DAEMON.replace("nologin", "bash")
    assert len(notes) == 1


def test_a_removed_user_with_a_password_set_on_this_node_stays_in_every_file() -> None:
    merged = accounts.merge(
        old={"passwd": DAEMON, "shadow": "daemon:*:20000:0:99999:7:::\n"},
        edited={"passwd": DAEMON + ADMIN, "shadow": "daemon:$y$hash:20100:0:99999:7:::\n"},
        new={"passwd": "", "shadow": ""},
    )
    assert merged.texts["passwd"] == DAEMON + ADMIN
    assert merged.texts["shadow"].startswith("daemon:$y$hash")


def test_an_id_that_somebody_here_has_already_is_told() -> None:
    taken = "local:x:980:980::/:/bin/sh\n"
    text, notes = passwd(old=ROOT, edited=ROOT + taken, new=ROOT + NEW_USER)
    assert text == ROOT + taken + NEW_USER
    assert notes == ("passwd: the release added _chrony with the id 980, which local has on this node",)


GROUPS = {
    "members of both sides are joined": (
        "docker:x:900:\n",
        "docker:x:900:ann\n",
        "docker:x:900:nest\n",
        "docker:x:900:ann,nest\n",
    ),
    "a member that the release took away goes": (
        "adm:x:4:syslog\n",
        "adm:x:4:syslog,ann\n",
        "adm:x:4:\n",
        "adm:x:4:ann\n",
    ),
    "a member that the node took away stays away": (
        "adm:x:4:syslog\n",
        "adm:x:4:\n",
        "adm:x:4:syslog,nest\n",
        "adm:x:4:nest\n",
    ),
    "a member of both is named once": ("adm:x:4:\n", "adm:x:4:ann\n", "adm:x:4:ann\n", "adm:x:4:ann\n"),
    "a group that both added joins its members": (
        "",
        "docker:x:900:ann\n",
        "docker:x:900:nest\n",
        "docker:x:900:ann,nest\n",
    ),
}


@pytest.mark.parametrize(("old", "edited", "new", "expected"), GROUPS.values(), ids=GROUPS.keys())
def test_groups(old: str, edited: str, new: str, expected: str) -> None:
    assert group(old=old, edited=edited, new=new) == expected


def test_administrators_and_members_of_gshadow_are_joined() -> None:
    merged = accounts.merge(
        old={"gshadow": "docker:!::\n"}, edited={"gshadow": "docker:!:ann:ann\n"}, new={"gshadow": "docker:!::nest\n"}
    )
    assert merged.texts["gshadow"] == "docker:!:ann:ann,nest\n"


def test_a_line_with_the_wrong_number_of_fields_is_left_alone_if_the_node_changed_it() -> None:
    text, _ = passwd(old=ROOT, edited="root:x:0\n", new=ROOT.replace("bash", "sh"))
    assert text == "root:x:0\n"


def test_only_files_that_the_node_has_are_joined() -> None:
    merged = accounts.merge(old={}, edited={"group": "a:x:1:\n"}, new={"passwd": ROOT, "group": "b:x:2:\n"})
    assert merged.texts == {"group": "a:x:1:\nb:x:2:\n"}
