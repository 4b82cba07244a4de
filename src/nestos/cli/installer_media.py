"""``nestos-installer iso`` and ``pxe``: what is embedded in live media and taken out of them.

The command tree and the options are coreos-installer's. Standard library only: this is on every node.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from nestos.base import durable
from nestos.base.errors import StateError
from nestos.installer.media import customize, editing, embedded, extract, kargs
from nestos.installer.media.customize import Wishes
from nestos.installer.media.editing import STDOUT
from nestos.installer.media.embedded import Files
from nestos.wire import cpio

Commands = argparse._SubParsersAction
Act = Callable[[argparse.Namespace], int]

_ISO_WISHES = ("live-karg-append", "live-karg-delete", "live-karg-replace")


def register(commands: Commands[argparse.ArgumentParser]) -> None:
    """Adds the commands ``iso`` and ``pxe``."""
    iso = _group(commands, "iso", "change a live ISO, or take something out of it")
    _customize(iso, _iso_customize, subject="ISO", is_iso=True)
    ignition = _group(iso, "ignition", "the embedded Ignition config")
    embed = _command(ignition, "embed", "embed an Ignition config", _iso_ignition_embed)
    embed.add_argument("-i", "--ignition-file", type=Path, metavar="PATH", help="default: standard input")
    _force(embed)
    _command(ignition, "show", "print the embedded Ignition config", _iso_ignition_show, output=False)
    _command(ignition, "remove", "remove the embedded Ignition config", _iso_ignition_remove)
    network = _group(iso, "network", "the embedded network configuration")
    embed = _command(network, "embed", "embed network configuration", _iso_network_embed)
    _keyfile(embed)
    _force(embed)
    taken = _command(network, "extract", "print the embedded network configuration", _iso_network_extract, output=False)
    taken.add_argument("-C", "--directory", type=Path, metavar="PATH", help="write files there instead")
    _command(network, "remove", "remove the embedded network configuration", _iso_network_remove)
    arguments = _group(iso, "kargs", "the kernel arguments of the live system")
    modify = _command(arguments, "modify", "change the kernel arguments", _iso_kargs_modify)
    for letter, name, metavar in (
        ("a", "append", "KARG"),
        ("d", "delete", "KARG"),
        ("r", "replace", "KARG=OLDVAL=NEWVAL"),
    ):
        modify.add_argument(f"-{letter}", f"--{name}", action="append", default=[], metavar=metavar)
    show = _command(arguments, "show", "print the kernel arguments", _iso_kargs_show, output=False)
    show.add_argument("-d", "--default", action="store_true", help="those that the ISO was made with")
    _command(arguments, "reset", "back to the arguments that the ISO was made with", _iso_kargs_reset)
    taking = _group(iso, "extract", "take something out of an ISO")
    pxe = _command(taking, "pxe", "the files of a network boot", _iso_extract_pxe, output=False)
    pxe.add_argument("-o", "--output-dir", type=Path, default=Path(), metavar="PATH", help="default: here")
    minimal = _command(taking, "minimal-iso", "an ISO that fetches its root", _iso_extract_minimal, output=False)
    minimal.add_argument("output", nargs="?", type=Path, default=STDOUT, metavar="OUTPUT_ISO", help="default: -")
    minimal.add_argument("--output-rootfs", type=Path, metavar="PATH", help="write the root too")
    minimal.add_argument("--rootfs-url", default="", metavar="URL", help="where it will find its root")
    _command(iso, "reset", "remove everything that was embedded", _iso_reset)
    _register_pxe(commands)


def _register_pxe(commands: Commands[argparse.ArgumentParser]) -> None:
    pxe = _group(commands, "pxe", "make initramfs parts for a network boot")
    _customize(pxe, _pxe_customize, subject="INITRD", is_iso=False)
    ignition = _group(pxe, "ignition", "an Ignition config as a part of an initramfs")
    wrap = _plain(ignition, "wrap", "make an initramfs part of an Ignition config", _pxe_ignition_wrap)
    wrap.add_argument("-i", "--ignition-file", type=Path, metavar="PATH", help="default: standard input")
    wrap.add_argument("-o", "--output", type=Path, default=STDOUT, metavar="PATH", help="default: standard output")
    unwrap = _plain(ignition, "unwrap", "print the Ignition config of such a part", _pxe_ignition_unwrap)
    unwrap.add_argument("image", type=Path, metavar="INITRD")
    network = _group(pxe, "network", "network configuration as a part of an initramfs")
    wrap = _plain(network, "wrap", "make an initramfs part of network configuration", _pxe_network_wrap)
    _keyfile(wrap)
    wrap.add_argument("-o", "--output", type=Path, default=STDOUT, metavar="PATH", help="default: standard output")
    unwrap = _plain(network, "unwrap", "print the network configuration of such a part", _pxe_network_unwrap)
    unwrap.add_argument("-C", "--directory", type=Path, metavar="PATH", help="write files there instead")
    unwrap.add_argument("image", type=Path, metavar="INITRD")


def _group(commands: Commands[argparse.ArgumentParser], name: str, about: str) -> Commands[argparse.ArgumentParser]:
    return commands.add_parser(name, help=about, description=about).add_subparsers(metavar="COMMAND", required=True)


def _plain(commands: Commands[argparse.ArgumentParser], name: str, about: str, act: Act) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=about, description=about)
    parser.set_defaults(act=act)
    return parser


def _command(
    commands: Commands[argparse.ArgumentParser], name: str, about: str, act: Act, *, output: bool = True
) -> argparse.ArgumentParser:
    """A command on an ISO; ``output``: that may write another one."""
    parser = _plain(commands, name, about, act)
    parser.add_argument("image", type=Path, metavar="ISO")
    if output:
        parser.add_argument("-o", "--output", type=Path, metavar="PATH", help="write another ISO; -: standard output")
    return parser


def _force(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="overwrite what is embedded")


def _keyfile(parser: argparse.ArgumentParser) -> None:
    about = "a file of systemd-networkd (.network, .netdev, .link)"
    parser.add_argument("-k", "--keyfile", action="append", type=Path, required=True, metavar="PATH", help=about)


def _customize(commands: Commands[argparse.ArgumentParser], act: Act, *, subject: str, is_iso: bool) -> None:
    about = "embed configs, and let the live system install without a person"
    parser = _plain(commands, "customize", about, act)
    many: list[tuple[str, str, type, str]] = [
        ("dest-ignition", "PATH", Path, "Ignition config of the installed system"),
        ("dest-console", "SPEC", str, "console of the installed system"),
        ("dest-karg-append", "ARG", str, "kernel argument of the installed system"),
        ("dest-karg-delete", "ARG", str, "default kernel argument to take away from it"),
        ("network-keyfile", "PATH", Path, "a file of systemd-networkd, for the live and the installed system"),
        ("ignition-ca", "PATH", Path, "authority that fetching a config trusts"),
        ("pre-install", "PATH", Path, "program to run before the installation"),
        ("post-install", "PATH", Path, "program to run after the installation"),
        ("installer-config", "PATH", Path, "config file of the installer"),
        ("live-ignition", "PATH", Path, "Ignition config of the live system"),
    ]
    if is_iso:
        many += [(name, "ARG", str, "kernel argument of the live system") for name in _ISO_WISHES]
    for name, metavar, kind, text in many:
        parser.add_argument(f"--{name}", action="append", default=[], type=kind, metavar=metavar, help=text)
    parser.add_argument("--dest-device", default="", metavar="PATH", help="disk to install to, without a question")
    _force(parser)
    parser.add_argument("-o", "--output", type=Path, required=not is_iso, metavar="PATH", help="-: standard output")
    parser.add_argument("image", type=Path, metavar=subject)


def _wishes(given: argparse.Namespace) -> Wishes:
    return Wishes(
        dest_ignition=given.dest_ignition,
        dest_device=given.dest_device,
        dest_console=given.dest_console,
        dest_karg_append=given.dest_karg_append,
        dest_karg_delete=given.dest_karg_delete,
        installer_config=given.installer_config,
        pre_install=given.pre_install,
        post_install=given.post_install,
        network=given.network_keyfile,
        ignition_ca=given.ignition_ca,
        live_ignition=given.live_ignition,
    )


def _tell(wishes: Wishes) -> None:
    if wishes.dest_device:
        print(f"The medium will install to {wishes.dest_device} without a question.", file=sys.stderr)
    elif wishes.installs:
        print("The medium will install without a question.", file=sys.stderr)


# ISO


def _iso_customize(given: argparse.Namespace) -> int:
    wishes = _wishes(given)
    files = customize.files(wishes)
    with editing.changing(given.image, output=given.output) as iso:
        default = iso.default_kargs()
        if not given.force and (iso.archive() or iso.kargs() != default):
            raise StateError("this ISO was customized already", hint="give --force to overwrite that")
        changed = kargs.modified(
            default,
            append=given.live_karg_append,
            delete=given.live_karg_delete,
            replace=given.live_karg_replace,
        )
        iso.set_kargs(changed)
        iso.set_archive(files)
    _tell(wishes)
    return 0


def _changed(given: argparse.Namespace, change: Callable[[Files], Files]) -> int:
    with editing.changing(given.image, output=given.output) as iso:
        iso.set_archive(change(iso.archive()))
    return 0


def _iso_ignition_embed(given: argparse.Namespace) -> int:
    data, source = _config(given.ignition_file)
    return _changed(given, lambda files: embedded.with_config(files, data, source=source, force=given.force))


def _iso_ignition_show(given: argparse.Namespace) -> int:
    with editing.reading(given.image) as iso:
        return _print(embedded.config(iso.archive()))


def _iso_ignition_remove(given: argparse.Namespace) -> int:
    return _changed(given, embedded.without_config)


def _iso_network_embed(given: argparse.Namespace) -> int:
    network = embedded.read_network(given.keyfile)
    return _changed(given, lambda files: embedded.with_network(files, network, force=given.force))


def _iso_network_extract(given: argparse.Namespace) -> int:
    with editing.reading(given.image) as iso:
        return _hand_out(embedded.network(iso.archive()), given.directory)


def _iso_network_remove(given: argparse.Namespace) -> int:
    return _changed(given, embedded.without_network)


def _iso_kargs_modify(given: argparse.Namespace) -> int:
    with editing.changing(given.image, output=given.output) as iso:
        changes = {"append": given.append, "delete": given.delete, "replace": given.replace}
        iso.set_kargs(kargs.modified(iso.kargs(), **changes))
    return 0


def _iso_kargs_show(given: argparse.Namespace) -> int:
    with editing.reading(given.image) as iso:
        print(" ".join(iso.default_kargs() if given.default else iso.kargs()))
    return 0


def _iso_kargs_reset(given: argparse.Namespace) -> int:
    with editing.changing(given.image, output=given.output) as iso:
        iso.set_kargs(iso.default_kargs())
    return 0


def _iso_reset(given: argparse.Namespace) -> int:
    with editing.changing(given.image, output=given.output) as iso:
        iso.set_kargs(iso.default_kargs())
        iso.set_archive({})
    return 0


def _iso_extract_pxe(given: argparse.Namespace) -> int:
    with editing.reading(given.image) as iso:
        for path in extract.network_set(iso, folder=given.output_dir, prefix=given.image.stem):
            print(path)
    return 0


def _iso_extract_minimal(given: argparse.Namespace) -> int:
    with editing.reading(given.image) as iso:
        if given.output != STDOUT:
            extract.minimal(iso, output=given.output, rootfs=given.output_rootfs, url=given.rootfs_url)
            return 0
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder, "minimal.iso")
            extract.minimal(iso, output=made, rootfs=given.output_rootfs, url=given.rootfs_url)
            with made.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
    return 0


# Parts of an initramfs


def _pxe_customize(given: argparse.Namespace) -> int:
    wishes = _wishes(given)
    base = embedded.read(given.image)
    made = base + bytes(-len(base) % 4) + _packed(customize.files(wishes))
    if given.output.exists() and given.force and given.output != STDOUT:
        durable.write(given.output, made)
    else:
        _write(given.output, made)
    _tell(wishes)
    return 0


def _pxe_ignition_wrap(given: argparse.Namespace) -> int:
    data, source = _config(given.ignition_file)
    return _write(given.output, _packed(embedded.with_config({}, data, source=source, force=False)))


def _pxe_ignition_unwrap(given: argparse.Namespace) -> int:
    return _print(embedded.config(cpio.unpack(embedded.read(given.image))))


def _pxe_network_wrap(given: argparse.Namespace) -> int:
    return _write(given.output, _packed(embedded.with_network({}, embedded.read_network(given.keyfile), force=False)))


def _pxe_network_unwrap(given: argparse.Namespace) -> int:
    return _hand_out(embedded.network(cpio.unpack(embedded.read(given.image))), given.directory)


def _packed(files: Files) -> bytes:
    return cpio.compress(cpio.pack(files)) if files else b""


def _config(path: Path | None) -> tuple[bytes, str]:
    """The config that is to be embedded, and where it is from."""
    return (sys.stdin.buffer.read(), "standard input") if path is None else (embedded.read(path), str(path))


def _print(data: bytes) -> int:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
    return 0


def _write(output: Path, data: bytes) -> int:
    if output == STDOUT:
        return _print(data)
    editing.refuse_existing(output)
    durable.write(output, data, mode=0o600)  # configs hold passwords
    return 0


def _hand_out(files: Files, folder: Path | None) -> int:
    """Prints files, or writes them into a folder that has none of their names."""
    if not files:
        raise StateError("no network configuration is embedded")
    for name, data in sorted(files.items()):
        if folder is None:
            print(f"########## {name} ##########\n{data.decode(errors='replace')}")
        else:
            editing.refuse_existing(folder / name)
            durable.write(folder / name, data, mode=0o600)
    return 0
