"""``nestos compose``: from a manifest to a signed commit in the repository, and a disk image of it."""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

from nestos.base import durable
from nestos.base.errors import InputError
from nestos.base.log import Progress
from nestos.compose import exports, images, keys, pipeline, tools
from nestos.compose.artifacts import platforms
from nestos.compose.pipeline import Composed, Options
from nestos.compose.workspace import Workspace
from nestos.wire import lockfile
from nestos.wire.lockfile import Lockfile

_EPILOG = """\
examples:
  nestos compose                                  the default edition
  nestos compose my/manifest.yaml --image         and a raw disk image for QEMU
  nestos compose --image --format=qcow2           and a compressed one, to copy elsewhere
  nestos compose --image --platform=metal         an image to install or hand out: checksum, signature, metadata
  nestos compose --image --platform=live          the live ISO, and kernel, initramfs and root for a network boot
  nestos compose --image --platform=all           every platform, each in the format that it takes
  nestos compose --refresh --write-lock=new.json  newest packages, and a file that pins them
  nestos compose --lock=new.json                  exactly these packages

A compose does only what its inputs ask for anew; running it again after an interruption goes on from there.
"""


_ALL = "all"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the sub-command."""
    parser = subparsers.add_parser(
        "compose",
        help="compose a release from a manifest",
        description="Compose a release from a manifest: packages, tree, slot image, signed commit.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("manifest", type=Path, nargs="?", metavar="MANIFEST", help="default: the default edition")
    parser.add_argument("--refresh", action="store_true", help="ask the archive for newer packages")
    parser.add_argument("--lock", type=Path, metavar="FILE", help="take exactly the packages of this lock file")
    parser.add_argument("--write-lock", type=Path, metavar="FILE", help="write a lock file of the packages taken")
    parser.add_argument("--variable", action="append", default=[], metavar="NAME=VALUE", help="set a manifest variable")
    parser.add_argument("--image", action="store_true", help="make a disk image for QEMU too")
    parser.add_argument("--format", metavar="FORMAT", help="of the disk image (default: the platform's own, else raw)")
    parser.add_argument(
        "--platform",
        action="append",
        default=[],
        choices=(*platforms.PLATFORMS, exports.CONTAINER, exports.LIVE, _ALL),
        help="with --image: make the artifact for this platform (repeatable)",
    )
    parser.add_argument("--arch", default=platform.machine(), help="default: this machine's")
    parser.set_defaults(handler=handle)


def default_manifest() -> Path:
    """The manifest of the default edition, in this checkout."""
    return checkout() / "editions/debian/manifest.yaml"


def checkout() -> Path:
    """The folder of this checkout."""
    return Path(__file__).resolve().parents[3]


def handle(options: argparse.Namespace) -> int:
    """Composes and says what came of it."""
    _check(options)
    if options.write_lock and not options.write_lock.parent.is_dir():
        raise InputError(f"--write-lock={options.write_lock}: there is no folder {options.write_lock.parent}")
    progress = Progress()
    workspace = Workspace.default()
    made = pipeline.compose(
        options.manifest or default_manifest(),
        workspace=workspace,
        options=Options(
            arch=options.arch,
            refresh=options.refresh,
            lock=_lock(options.lock) if options.lock else None,
            variables=dict(_pair(text) for text in options.variable),
        ),
        progress=progress,
    )
    if options.write_lock:
        durable.write_text(options.write_lock, lockfile.render(made.lock))
    release = made.release
    print(f"version   {release.version}\nref       {release.ref}\ncommit    {release.commit}")
    print(f"slot      {release.image} ({release.image_size / 1e6:.0f} MB)\nroot hash {release.root_hash}")
    print(f"repository {workspace.repository}")
    if options.image and not options.platform:
        disk = disk_image(made, workspace=workspace, progress=progress, form=options.format or "raw")
        print(f"disk      {disk} ({_megabytes(disk)} MB)")
    elif options.platform:
        _export(made, options, workspace=workspace, progress=progress)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Raises ``InputError`` for a format that nobody takes, before the work begins."""
    if options.platform and not options.image:
        raise InputError("--platform says what --image makes", hint="add --image")
    if options.format is None:
        return
    names = options.platform or ["qemu"]
    for name in names:
        if name in (_ALL, exports.CONTAINER, exports.LIVE):
            raise InputError(f"--platform={name} has formats of its own", hint="leave --format out")
        known = platforms.find(name).formats
        if options.format not in known:
            raise InputError(f"{name} takes {', '.join(known)}, not {options.format}")


def _export(made: Composed, options: argparse.Namespace, *, workspace: Workspace, progress: Progress) -> None:
    """Makes what ``--platform`` asked for and says where it is."""
    box = tools.ensure(workspace.home, progress=progress).with_binds(*workspace.places)
    exporter = exports.Exporter(
        release=made.release,
        folder=made.folder,
        home=workspace.home,
        repository=workspace.repository,
        key=keys.ensure(workspace.folder("keys"), runner=box),
        runner=box,
        progress=progress,
    )
    everything = (*platforms.PLATFORMS, exports.CONTAINER, exports.LIVE)
    for name in everything if _ALL in options.platform else dict.fromkeys(options.platform):
        for file in _artifacts(exporter, name, form=options.format or ""):
            print(f"{name:9} {file} ({_megabytes(file)} MB)")


def _artifacts(exporter: exports.Exporter, name: str, *, form: str) -> tuple[Path, ...]:
    if name == exports.CONTAINER:
        return (exporter.container(),)
    return exporter.live() if name == exports.LIVE else (exporter.disk(name, form=form),)


def _megabytes(path: Path) -> str:
    return f"{path.stat().st_blocks * 512 / 1e6:.0f}"


def disk_image(
    made: Composed, *, workspace: Workspace, progress: Progress, platform_id: str = "qemu", form: str = "raw"
) -> Path:
    """The disk image of a composed release, in the format ``form``, one of the platform's."""
    box = tools.ensure(workspace.home, progress=progress).with_binds(workspace.home)
    raw = images.ensure_disk(
        made.release, made.folder, platform=platform_id, home=workspace.home, runner=box, progress=progress
    )
    return images.ensure_format(raw, form=form, runner=box, progress=progress)


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise InputError(f"--variable={text}: expected NAME=VALUE")
    return name, value


def _lock(path: Path) -> Lockfile:
    try:
        lock, report = lockfile.parse(path.read_text(), source=str(path))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a lock file: it is not text") from error
    if lock is None:
        raise InputError(f"the lock file cannot be used:\n{report}")
    return lock
