"""``systemd.quadlets``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nestos.butane.nodes import NODE_EXISTS
from nestos.butane.quadlets import BAD_EXTENSION, INSTANCE_WITH_CONTENTS, template_of
from tests.unit.butane.source import config, messages, write_files

FCOS: dict[str, Any] = {"variant": "fcos", "version": "1.8.0-experimental"}


def test_quadlets_become_files_and_instances_of_templates_become_links(tmp_path: Path) -> None:
    write_files(tmp_path, {"web": "local"})
    body = """
        systemd:
          quadlets:
            - {name: web.container, rootful: true, contents_local: web, dropins: [{name: a.conf, contents: x}]}
            - {name: t@.container, contents: y}
            - {name: t@1.container}
    """
    storage = config(body, files_dir=tmp_path, **FCOS)["storage"]
    assert [(file["path"], file["contents"]["source"]) for file in storage["files"]] == [
        ("/etc/containers/systemd/web.container", "data:,local"),
        ("/etc/containers/systemd/web.container.d/a.conf", "data:,x"),
        ("/etc/containers/systemd/users/t@.container", "data:,y"),
    ]
    assert storage["links"] == [{"path": "/etc/containers/systemd/users/t@1.container", "target": "t@.container"}]


@pytest.mark.parametrize(
    ("quadlet", "path", "reason"),
    [
        ("{name: a.service}", ".name", BAD_EXTENSION),
        ("{name: t@1.container, contents: x}", ".contents", INSTANCE_WITH_CONTENTS),
        ("{name: a.container}, {name: a.container}", "", NODE_EXISTS),
    ],
)
def test_a_quadlet_that_cannot_be_written_is_refused(quadlet: str, path: str, reason: str) -> None:
    (message,) = messages(f"systemd: {{quadlets: [{quadlet}]}}", **FCOS)
    assert message.endswith(reason)
    assert f"{path}, line 3" in message


@pytest.mark.parametrize(
    ("name", "template"),
    [("a@b.container", "a@.container"), ("a@.container", ""), ("a.container", ""), ("a@b@c.d.pod", "a@.pod")],
)
def test_an_instance_has_a_template(name: str, template: str) -> None:
    assert template_of(name) == template
