"""The rival of the boot benchmark: Debian with cloud-init, on a disk that starts as ours does.

Debian's own cloud image cannot be had from a package, so an equivalent is made: the packages of the base edition
without what is NestOS's own, plus what Debian's image has in its place (initramfs-tools, cloud-init, netplan,
growpart). It is an ext4 root behind the same GRUB, with a NoCloud seed for its first boot.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from benchmarks.bench import EDITIONS, Bench
from benchmarks.roots import DebianRoot, debian_root
from nestos.compose.pipeline import read_manifest
from nestos.host.bootloader import grub_images
from nestos.host.process import Runner
from nestos.host.toolbox import Toolbox
from nestos.wire import gpt

MARK = "BENCHMARK-BOOT-COMPLETE"
"""What both contenders write to their console when they are up."""

_OURS = ("dracut", "dracut-network", "systemd-cryptsetup", "ostree", "erofs-utils", "cryptsetup-bin")
_INSTEAD = ("initramfs-tools", "cloud-init", "cloud-guest-utils", "netplan.io", "zstd")
_BOOT_IMG = "/usr/lib/grub/i386-pc/boot.img"
_MIB = 1 << 20
_ROOT_BYTES = 4 << 30
_FORMAT = "1"  # raised when the image is made another way

_GRUB = """\
serial --unit=0 --speed=115200
terminal_output console serial
linux /vmlinuz root=PARTUUID={root} ro console=tty0 console=ttyS0,115200n8 loglevel=4
initrd /initrd.img
boot
"""
_UNIT = f"""\
[Unit]
Description=Tell the benchmark that this system is up
DefaultDependencies=no
After=cloud-init.target multi-user.target

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo {MARK} >/dev/ttyS0'

[Install]
WantedBy=cloud-init.target
"""
_FSTAB = "LABEL=root / ext4 rw,discard,errors=remount-ro,x-systemd.growfs 0 1\n"
_CLOUD = "datasource_list: [NoCloud, None]\n"


def disk(bench: Bench) -> Path:
    """The raw disk image, made once."""
    manifest = read_manifest(EDITIONS / "base.yaml", arch=bench.arch, variables={}, progress=bench.progress)
    packages = (*(name for name in manifest.packages if name not in _OURS), *_INSTEAD)
    root = debian_root(bench, "debian", packages=packages)
    shape = hashlib.sha256("\n".join([_FORMAT, root.path.name, _GRUB, _UNIT, _FSTAB, _CLOUD]).encode()).hexdigest()
    output = bench.folder / f"debian-{shape[:12]}.raw"
    if not output.exists():
        with bench.progress.stage("disk image of Debian with cloud-init"):
            _build(bench, root, output)
    return output


def seed(folder: Path, *, public_key: str, runner: Runner) -> Path:
    """A NoCloud disk (cloud-init's documentation, NoCloud): the user ``nest`` with a key, a host name."""
    source = Path(tempfile.mkdtemp(dir=folder))
    user = {"name": "nest", "ssh_authorized_keys": [public_key], "sudo": "ALL=(ALL) NOPASSWD:ALL", "shell": "/bin/bash"}
    (source / "user-data").write_text("#cloud-config\n" + json.dumps({"users": [user]}) + "\n")
    (source / "meta-data").write_text(json.dumps({"instance-id": "bench", "local-hostname": "bench"}) + "\n")
    output = folder / "seed.raw"
    output.unlink(missing_ok=True)
    runner(["mkfs.vfat", "-C", "-n", "CIDATA", output, "1024"])
    runner(["mcopy", "-i", output, source / "user-data", source / "meta-data", "::"])
    shutil.rmtree(source)
    return output


def _build(bench: Bench, root: DebianRoot, output: Path) -> None:
    work = Path(tempfile.mkdtemp(dir=bench.folder))
    try:
        tree = work / "tree"
        toolbox = bench.tools(bench.folder)
        toolbox(["cp", "--archive", root.path, tree])
        _configure(tree)
        table = _layout()
        image = work / "disk.raw"
        with image.open("wb") as file:
            file.truncate(table.size_bytes)
        boot = work / "boot"
        (boot / "grub").mkdir(parents=True)
        kernel = next((tree / "boot").glob("vmlinuz-*"))
        initrd = next((tree / "boot").glob("initrd.img-*"))
        shutil.copyfile(kernel, boot / "vmlinuz")
        shutil.copyfile(initrd, boot / "initrd.img")
        (boot / "grub/grub.cfg").write_text(_GRUB.format(root=table["root"].guid))
        for name, folder in (("boot", boot), ("root", tree)):
            _make_ext4(image, table[name], folder, runner=toolbox)
        _make_bootable(image, table, work=work, runner=toolbox)
        image.rename(output)
    finally:
        shutil.rmtree(work)


def _configure(tree: Path) -> None:
    (tree / "etc/fstab").write_text(_FSTAB)
    (tree / "etc/machine-id").write_text("")
    (tree / "etc/cloud/cloud.cfg.d/90-benchmark.cfg").write_text(_CLOUD)
    (tree / "etc/systemd/system/benchmark-mark.service").write_text(_UNIT)
    for key in (tree / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    inside = Toolbox(tree)
    inside(["systemctl", "--root=/", "enable", "benchmark-mark.service", "systemd-networkd.service"])
    (kernel,) = (path.name for path in (tree / "usr/lib/modules").iterdir())
    inside(["update-initramfs", "-c", "-k", kernel])
    resolv = tree / "etc/resolv.conf"
    if not resolv.is_symlink():
        resolv.unlink(missing_ok=True)
        resolv.symlink_to("../run/systemd/resolve/stub-resolv.conf")


def _layout() -> gpt.Table:
    return gpt.lay_out(
        [
            gpt.Wanted(name="bios", kind=gpt.BIOS_BOOT, size_bytes=_MIB),
            gpt.Wanted(name="esp", kind=gpt.EFI_SYSTEM, size_bytes=_MIB),
            gpt.Wanted(name="boot", kind=gpt.EXTENDED_BOOT, size_bytes=512 * _MIB),
            gpt.Wanted(name="root", kind=gpt.ROOT_X86_64, size_bytes=_ROOT_BYTES),
        ],
        seed="benchmark",
    )


def _make_ext4(image: Path, partition: gpt.Partition, tree: Path, *, runner: Runner) -> None:
    runner(
        [
            "mke2fs",
            "-q",
            "-F",
            "-t",
            "ext4",
            "-L",
            partition.name,
            "-O",
            "^orphan_file,^metadata_csum_seed",
            "-E",
            f"offset={partition.offset_bytes},root_owner=0:0,nodiscard,assume_storage_prezeroed=1",
            "-d",
            tree,
            image,
            f"{partition.size_bytes // 1024}k",
        ]
    )


def _make_bootable(image: Path, table: gpt.Table, *, work: Path, runner: Runner) -> None:
    core, boot, first = work / "core.img", work / "boot.img", table["bios"].offset_bytes // 512
    grub_images.bios_core(core, runner=runner)
    runner(["cp", _BOOT_IMG, boot])
    placed = grub_images.bios_placed_core(core.read_bytes(), core_sector=first)
    code = grub_images.bios_boot_sector(boot=boot.read_bytes(), core_sector=first)
    with image.open("r+b") as file:
        for offset, data in {table["bios"].offset_bytes: placed, **gpt.blocks(table, boot_code=code)}.items():
            os.pwrite(file.fileno(), data, offset)
