"""Puts this project's own files into a tree: the node's Python packages, commands, units, dracut modules.

Only the layers that a node runs are copied; what they may import is a contract checked elsewhere.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import nestos
from nestos.layout import bytecode

# Below src/nestos: packages and single modules that a node has.
_NODE_CODE = (
    "__init__.py",
    "base",
    "host",
    "ignition",
    "layout",
    "ostree",
    "slots",
    "deploy",
    "agent",
    "trust",
    "installer",
    "wire/__init__.py",
    "wire/cpio.py",
    "wire/deployment.py",
    "wire/fields.py",
    "wire/fleetlock.py",
    "wire/gpt.py",
    "wire/graph.py",
    "wire/iso9660.py",
    "wire/live.py",
    "wire/live_iso.py",
    "wire/origin.py",
    "wire/packed.py",
    "wire/report.py",
    "wire/stream.py",
    "wire/texts.py",
    "wire/version.py",
    "cli/__init__.py",
    "cli/agent.py",
    "cli/agent_staging.py",
    "cli/node.py",
    "cli/node_agent.py",
    "cli/node_answers.py",
    "cli/node_boot.py",
    "cli/node_finalize.py",
    "cli/node_kernel.py",
    "cli/node_live.py",
    "cli/node_packages.py",
    "cli/node_status.py",
    "cli/node_update.py",
    "cli/rpm_ostree.py",
    "cli/ignition.py",
    "cli/ignition_kargs_helper.py",
    "cli/ignition_validate.py",
    "cli/installer.py",
    "cli/installer_media.py",
    "cli/live_fetch.py",
)
# Command on the node -> module with a ``program`` function.
_COMMANDS = {
    "nestos": "nestos.cli.node",
    "ignition": "nestos.cli.ignition",
    "ignition-apply": "nestos.cli.ignition",
    "ignition-kargs-helper": "nestos.cli.ignition_kargs_helper",
    "ignition-rmcfg": "nestos.cli.ignition",
    "ignition-validate": "nestos.cli.ignition_validate",
    "nestos-installer": "nestos.cli.installer",
    "coreos-installer": "nestos.cli.installer",
    "rpm-ostree": "nestos.cli.rpm_ostree",
}
# Folder below dist -> folder in the tree.
_DIST = {
    "dracut": "usr/lib/dracut/modules.d",
    "systemd": "usr/lib/systemd/system",
    "health.d": "usr/lib/nestos/health.d",
    "nestos.conf.d": "usr/lib/nestos/nestos.conf.d",
    "ignition": "usr/lib/ignition",
    "root": "",
}
_LAUNCHER = """#!/usr/bin/python3 -I
from {module} import program

raise SystemExit(program())
"""


def source() -> Path:
    """The folder of this package's own source."""
    return Path(nestos.__file__).parent


def digest() -> str:
    """Changes whenever a file that ``install`` copies changes. Hexadecimal sha256."""
    total = hashlib.sha256()
    for name, path in sorted(_files()):
        total.update(f"{name}\0{path.stat().st_mode & 0o111}\0".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    total.update(repr(sorted(_COMMANDS.items())).encode())
    return total.hexdigest()


def code_digest(*folders: str) -> str:
    """Changes whenever a source file in one of ``folders`` (below the package) changes. Hexadecimal sha256."""
    total = hashlib.sha256()
    for folder in folders:
        for path in _below(source() / folder):
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def install(tree: Path) -> None:
    """Copies everything into ``tree``, owned by root, modes 0755 or 0644."""
    place = bytecode.packages_folder(tree)
    for name, path in _files():
        target = tree / name.replace(bytecode.DEBIAN_PACKAGES, place, 1)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o755 if _is_program(path) else 0o644)
    for command, module in _COMMANDS.items():
        target = tree / "usr/bin" / command
        target.write_text(_LAUNCHER.format(module=module))
        target.chmod(0o755)
    (tree / "etc/sudoers.d/nestos").chmod(0o440)


def _files() -> Iterator[tuple[str, Path]]:
    """Each file with its place in the tree."""
    for entry in _NODE_CODE:
        for path in _below(source() / entry):
            yield f"{bytecode.DEBIAN_PACKAGES}/nestos/{path.relative_to(source())}", path
    for folder, place in _DIST.items():
        base = source() / "dist" / folder
        for path in _below(base):
            yield str(Path(place) / path.relative_to(base)), path


def _below(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from (p for p in sorted(path.rglob("*")) if p.is_file() and "__pycache__" not in p.parts)


def _is_program(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"
