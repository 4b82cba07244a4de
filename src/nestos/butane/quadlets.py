"""``systemd.quadlets``: containers, networks and volumes as podman quadlet files (podman-systemd.unit(5))."""

from __future__ import annotations

from posixpath import join

from nestos.base.report import Severity
from nestos.butane.embedded import TOO_MANY_CONTENTS, check_contents
from nestos.butane.local_files import LocalFileError
from nestos.butane.nodes import NODE_EXISTS, Nodes
from nestos.butane.place import Path
from nestos.butane.schema import ListOf, Scalar, Table, key
from nestos.butane.site import Check, Object, Run

EXTENSIONS = (
    ".container",
    ".volume",
    ".network",
    ".kube",
    ".image",
    ".build",
    ".pod",
    ".artifact",
)
BAD_EXTENSION = (
    "unsupported file extension for quadlet: must be one of "
    ".container, .volume, .network, .kube, .image, .build, .pod, or .artifact"
)
INSTANCE_WITH_CONTENTS = "template instances cannot have contents or contents_local"

SYSTEM_FOLDER = "/etc/containers/systemd"
_USER_FOLDER = "/etc/containers/systemd/users"


def check_quadlet(check: Check) -> None:
    """Rule of a quadlet: its name says what it is; an instance of a template is only a link."""
    name = check.values.get("name", "")
    if not name.endswith(EXTENSIONS):
        check.error(BAD_EXTENSION, "name")
        return
    given = [part for part in ("contents", "contents_local") if part in check.values]
    if template_of(name):
        for part in given:
            check.error(INSTANCE_WITH_CONTENTS, part)
    elif len(given) > 1:
        check.error(TOO_MANY_CONTENTS, "contents_local")


def template_of(name: str) -> str:
    """The template that ``foo@bar.container`` is an instance of, or empty.

    >>> template_of("foo@bar.container")
    'foo@.container'
    """
    base, at, rest = name.partition("@")
    instance, dot, extension = rest.rpartition(".")
    return f"{base}@.{extension}" if at and dot and instance else ""


def add_quadlets(run: Run, values: Object, config: Object) -> Object:
    """``config`` with the files and links of all quadlets."""
    quadlets = values.get("systemd", {}).get("quadlets", [])
    if quadlets:
        run.origins[("storage",)] = ("systemd", "quadlets")
    nodes = Nodes(run, config)
    for index, quadlet in enumerate(quadlets):
        source: Path = ("systemd", "quadlets", index)
        path = join(SYSTEM_FOLDER if quadlet.get("rootful") else _USER_FOLDER, quadlet["name"])
        template = template_of(quadlet["name"])
        if template:
            _add_link(run, nodes, path, template, source)
        else:
            _add_file(run, nodes, path, quadlet, source)
        for number, dropin in enumerate(quadlet.get("dropins", [])):
            _add_file(
                run,
                nodes,
                f"{path}.d/{dropin.get('name', '')}",
                dropin,
                (*source, "dropins", number),
            )
    return config


def _add_link(run: Run, nodes: Nodes, path: str, template: str, source: Path) -> None:
    if path in nodes:
        run.add(Severity.ERROR, NODE_EXISTS, source)
        return
    index, _ = nodes.add("links", {"path": path, "target": template}, source=source)
    run.origins[("storage", "links", index, "path")] = (*source, "name")


def _add_file(run: Run, nodes: Nodes, path: str, written: Object, source: Path) -> None:
    if path in nodes:
        run.add(Severity.ERROR, NODE_EXISTS, source)
        return
    index, node = nodes.add("files", {"path": path}, source=source)
    run.origins[("storage", "files", index, "path")] = (*source, "name")
    content, came_from = b"", source
    if written.get("contents_local"):
        came_from = (*source, "contents_local")
        try:
            content = run.files.read(written["contents_local"])
        except LocalFileError as error:
            run.add(Severity.ERROR, str(error), came_from)
            return
    if written.get("contents"):
        content, came_from = written["contents"].encode(), (*source, "contents")
    nodes.fill(index, node, content, source=came_from)
    run.origins[("storage", "files", index, "contents", "compression")] = source
    node["mode"] = 0o644
    run.origins[("storage", "files", index, "mode")] = source


_TEXT = Scalar.TEXT
_CONTENTS = (
    key("contents", _TEXT, "The text of the file."),
    key("contents_local", _TEXT, "A local file below the files directory with the text."),
)
QUADLETS = Table(
    name="Quadlet",
    fields=(
        *_CONTENTS,
        key(
            "name",
            _TEXT,
            "The file's name; its suffix says what it is, such as web.container.",
        ),
        key(
            "rootful",
            Scalar.FLAG,
            "For the system; without it, for every user's own containers.",
        ),
        key(
            "dropins",
            ListOf(
                item=Table(
                    name="Dropin",
                    fields=(
                        *_CONTENTS,
                        key("name", _TEXT, "The name of the file; it ends in .conf."),
                    ),
                    rule=check_contents,
                )
            ),
            "Files that change parts of it, in NAME.d/.",
        ),
    ),
    rule=check_quadlet,
)
"""One quadlet."""
