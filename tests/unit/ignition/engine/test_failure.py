"""What is shown of a config when a stage failed."""

from __future__ import annotations

from typing import Any

import pytest

from nestos.ignition.engine.failure import HIDDEN, masked


def shown(config: dict[str, Any]) -> Any:
    return masked(config)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"passwd": {"users": [{"passwordHash": "x"}]}}, {"passwd": {"users": [{"passwordHash": HIDDEN}]}}),
        (
            {
                "storage": {
                    "luks": [{"keyFile": {"source": "data:,k"}, "clevis": {"custom": {"pin": "p", "config": "c"}}}]
                }
            },
            {
                "storage": {
                    "luks": [
                        {
                            "keyFile": {"source": f"data:,{HIDDEN}"},
                            "clevis": {"custom": {"pin": "p", "config": HIDDEN}},
                        }
                    ]
                }
            },
        ),
        (
            {
                "ignition": {
                    "proxy": {"httpProxy": "http://u:p@h/"},
                    "config": {"merge": [{"source": "http://h/x?t=1"}]},
                }
            },
            {"ignition": {"proxy": {"httpProxy": "http://h/"}, "config": {"merge": [{"source": "http://h/x"}]}}},
        ),
    ],
)
def test_secrets_are_left_out(config: dict[str, Any], expected: dict[str, Any]) -> None:
    assert shown(config) == expected


@pytest.mark.parametrize(
    ("folder", "path", "is_hidden"),
    [
        ({"path": "/srv/app", "mode": 0o750}, "/srv/app/conf/x", True),
        ({"path": "/srv/app", "mode": 0o755}, "/srv/app/conf/x", False),
        ({"path": "/srv/app"}, "/srv/app/conf/x", False),
        ({"path": "/srv/app", "mode": 0o700}, "/srv/application", False),
        ({"path": "/srv/app"}, "/root/x", True),
    ],
)
def test_what_is_below_a_closed_directory_is_a_secret(folder: dict[str, Any], path: str, is_hidden: bool) -> None:
    file = {"path": path, "mode": 0o644, "contents": {"source": "data:,x"}}
    [told] = shown({"storage": {"directories": [folder], "files": [file]}})["storage"]["files"]

    assert (HIDDEN in told["contents"]["source"]) is is_hidden


def test_a_tang_server_is_shown_without_its_password() -> None:
    told = shown({"storage": {"luks": [{"clevis": {"tang": [{"url": "http://u:p@tang/x", "thumbprint": "t"}]}}]}})

    assert told["storage"]["luks"][0]["clevis"]["tang"] == [{"url": "http://tang/x", "thumbprint": "t"}]


@pytest.mark.parametrize(
    ("file", "is_hidden"),
    [
        ({"path": "/etc/motd"}, False),
        ({"path": "/etc/motd", "mode": 0o644}, False),
        ({"path": "/etc/motd", "mode": 0o640}, True),
        ({"path": "/etc/ssl/server.pem"}, True),
        ({"path": "/etc/api-token"}, True),
        ({"path": "/home/core/.ssh/id_ed25519", "mode": 0o644}, True),
    ],
)
def test_the_data_of_a_file_are_shown_if_everyone_may_read_them(file: dict[str, Any], is_hidden: bool) -> None:
    entry = {**file, "contents": {"source": "data:,x"}, "append": [{"source": "data:,y"}]}

    (after,) = shown({"storage": {"files": [entry]}})["storage"]["files"]

    sources = [after["contents"]["source"], after["append"][0]["source"]]
    assert sources == ([f"data:,{HIDDEN}"] * 2 if is_hidden else ["data:,x", "data:,y"])


def test_the_data_of_other_configs_are_left_out() -> None:
    config = {"ignition": {"config": {"merge": [{"source": "data:,secret"}], "replace": {"source": "data:,secret"}}}}

    assert "secret" not in str(shown(config))


def test_headers_are_left_out_and_the_config_stays_as_it_was() -> None:
    config = {"storage": {"files": [{"path": "/a", "contents": {"httpHeaders": [{"name": "n", "value": "v"}]}}]}}

    after = shown(config)

    assert after["storage"]["files"][0]["contents"]["httpHeaders"] == [{"name": "n", "value": HIDDEN}]
    assert config["storage"]["files"][0]["contents"]["httpHeaders"][0]["value"] == "v"  # type: ignore[index]
