"""Whole installations on loop devices: real signatures and file systems, disks in use, too small, of 4 KiB sectors.

The images are small and made up, with a boot partition of mke2fs and a key of this run's own.
"""

from __future__ import annotations

import gzip
import io
import lzma
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nestos.base.errors import BusyError, InputError, NestosError, VerificationError
from nestos.host.process import run
from nestos.installer import bootfiles, install, options
from nestos.installer.dropin import Value
from nestos.installer.install import Surroundings
from nestos.wire import deployment, gpt
from tests.system.ignition import loops
from tests.unit.installer.made_up import IMAGE_MIB, MIB, disk_table, image, noise, table
from tests.unit.installer.test_bootfiles import fill

pytestmark = pytest.mark.skipif(bool(loops.missing()), reason=loops.missing())
CONFIG = b'{"ignition": {"version": "3.4.0"}}'
DISK_MIB = 40


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Signed images, the folder of the key, and a config."""

    folder: Path
    keys: Path

    def image(self, name: str) -> Path:
        """One of the images: ``512``, ``4096``, and the first one compressed."""
        return self.folder / name

    def install(self, device: Path, name: str = "512", **given: Value) -> str:
        """Installs, and returns what was said."""
        words: dict[str, Value] = {"dest-device": str(device), "image-file": str(self.image(name))}
        words |= {key.replace("_", "-"): value for key, value in given.items()}
        said = io.StringIO()
        made = options.settings(words, machine="x86_64")
        install.install(made, around=Surroundings(stream=said, keys=self.keys))
        return said.getvalue()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("images")
    boot = fill(folder / "boot")
    for sector in (512, 4096):
        laid = table(sector_bytes=sector)
        path = folder / str(sector)
        path.write_bytes(image(sector_bytes=sector))
        place = [f"offset={laid['boot'].offset_bytes}", "nodiscard"]
        size = f"{laid['boot'].size_bytes // 1024}k"
        run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-E", ",".join(place), "-d", boot, path, size])
    plain = (folder / "512").read_bytes()
    (folder / "512.xz").write_bytes(lzma.compress(plain, preset=0))
    (folder / "512.gz").write_bytes(gzip.compress(plain, 1))
    run(["zstd", "--quiet", folder / "512", "-o", folder / "512.zst"])
    (folder / "changed.gz").write_bytes(gzip.compress(plain[:-1] + b"x", 1))
    (folder / "short.xz").write_bytes((folder / "512.xz").read_bytes()[:-5000])
    (folder / "unsigned").write_bytes(plain)
    (folder / "node.ign").write_bytes(CONFIG)
    (folder / "wrong.ign").write_bytes(b'{"ignition": {"version": "3.4.0"}, "storage": {"files": [{"path": "x"}]}}')
    return Bench(folder=folder, keys=sign(folder, ["512", "4096", "512.xz", "512.gz", "512.zst", "short.xz"]))


def sign(folder: Path, names: list[str]) -> Path:
    home = folder / "gnupg"
    home.mkdir(mode=0o700)
    gpg = ["gpg", f"--homedir={home}", "--batch", "--quiet", "--yes", "--passphrase=", "--pinentry-mode=loopback"]
    run([*gpg, "--quick-generate-key", "Test", "ed25519", "sign", "never"])
    for name in names:
        run([*gpg, f"--output={folder / name}.sig", "--detach-sign", folder / name])
    keys = folder / "keys"
    keys.mkdir()
    run([*gpg, f"--output={keys / 'test.gpg'}", "--export"])
    (folder / "changed.gz.sig").write_bytes((folder / "512.gz.sig").read_bytes())
    run(["gpgconf", f"--homedir={home}", "--kill", "all"])
    return keys


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with loops.loop(tmp_path / "disk", mib=DISK_MIB) as device:
        yield device


def put_table(device: Path, *, sector: int = 512) -> None:
    with device.open("r+b") as file:
        for offset, data in gpt.blocks(disk_table(disk_mib=DISK_MIB, sector_bytes=sector)).items():
            file.seek(offset)
            file.write(data)


def read_table(device: Path, *, sector: int = 512) -> gpt.Table | None:
    with device.open("rb") as file:
        return gpt.parse(file.read(MIB), sector_bytes=sector, size_bytes=DISK_MIB * MIB)


def content(device: Path, offset: int, size: int) -> bytes:
    with device.open("rb") as file:
        file.seek(offset)
        return file.read(size)


@pytest.mark.parametrize("name", ["512", "512.xz", "512.gz", "512.zst"])
def test_a_signed_image_is_installed_in_every_compression(bench: Bench, disk: Path, name: str) -> None:
    said = bench.install(disk, name)
    assert "signed by" in said
    plain = bench.image("512").read_bytes()
    assert content(disk, MIB, (IMAGE_MIB - 1) * MIB) == plain[MIB : IMAGE_MIB * MIB]

    assert "No problems found" in run(["sgdisk", "--verify", disk]).stdout


def test_the_installed_system_is_made_ones_own(bench: Bench, disk: Path) -> None:
    bench.install(
        disk,
        ignition_file=str(bench.folder / "node.ign"),
        append_karg=["answer=42"],
        delete_karg=["quiet"],
        console=["ttyS0,115200n8"],
        platform="openstack",
        firstboot_args="ip=dhcp",
    )
    boot = table()["boot"]
    with bootfiles.mounted(disk, boot, runner=run) as mounted:
        assert (mounted / "ignition/config.ign").read_bytes() == CONFIG
        record = deployment.parse((mounted / "slot-a/deployment.json").read_text(), source="x")
        assert record.kargs == ("console=ttyS0,115200n8", "answer=42")
        assert "set platform=openstack" in (mounted / "grub/grub.cfg").read_text()
        assert "ip=dhcp" in (mounted / "ignition.firstboot").read_text()


def test_a_disk_of_large_sectors_takes_the_image_for_it(bench: Bench, tmp_path: Path) -> None:
    with loops.loop(tmp_path / "disk", mib=DISK_MIB, sector_bytes=4096) as device:
        with pytest.raises(InputError, match="sectors of 512 bytes, this one has sectors of 4096"):
            bench.install(device)
        bench.install(device, "4096", append_karg=["a"])
        found = read_table(device, sector=4096)
    assert found is not None
    assert [p.name for p in found.partitions] == ["bios", "boot", "root-a", "var"]


def test_saved_partitions_outlive_success_and_failure(bench: Bench, disk: Path) -> None:
    put_table(disk)
    kept = noise("kept", MIB)
    with disk.open("r+b") as file:
        file.seek(20 * MIB)
        file.write(kept)
    with pytest.raises(VerificationError):
        bench.install(disk, "changed.gz", save_partlabel=["data"], save_partindex=["9"])
    after_failure = read_table(disk)
    assert after_failure is not None
    assert [(p.number, p.name) for p in after_failure.partitions] == [(2, "data"), (9, "more")]
    bench.install(disk, save_partlabel=["data"], save_partindex=["9"])
    after = read_table(disk)
    assert after is not None
    assert [p.name for p in after.partitions] == ["bios", "boot", "root-a", "var", "data", "more"]
    assert content(disk, 20 * MIB, MIB) == kept


@pytest.mark.parametrize(
    ("name", "sentence"), [("changed.gz", "signature"), ("short.xz", "cut short|damaged")], ids=["changed", "cut"]
)
def test_a_failure_clears_the_table(bench: Bench, disk: Path, name: str, sentence: str) -> None:
    put_table(disk)
    with pytest.raises(VerificationError, match=sentence):
        bench.install(disk, name)
    found = read_table(disk)
    assert found is not None
    assert found.partitions == ()
    assert content(disk, 0, 440) == bytes(440)


@pytest.mark.parametrize(
    ("name", "given", "error", "sentence"),
    [
        ("unsigned", {}, VerificationError, "has no signature"),
        ("512", {"ignition_file": "wrong.ign"}, InputError, "cannot be used"),
        ("512", {"ignition_file": "node.ign", "ignition_hash": "sha256-" + "0" * 64}, VerificationError, "sha256"),
        ("512", {"ignition_file": "none.ign"}, InputError, "cannot read"),
        ("none", {}, InputError, "no image"),
        ("512", {"save_partlabel": ["old"]}, InputError, "cannot be saved"),
    ],
    ids=["unsigned", "wrong config", "other hash", "no config", "no image", "saved in the way"],
)
def test_what_is_refused_leaves_the_disk_untouched(
    bench: Bench, disk: Path, name: str, given: dict[str, Value], error: type[NestosError], sentence: str
) -> None:
    put_table(disk)
    before = content(disk, 0, DISK_MIB * MIB)
    if "ignition_file" in given:
        given = given | {"ignition_file": str(bench.folder / str(given["ignition_file"]))}
    with pytest.raises(error, match=sentence):
        bench.install(disk, name, **given)
    assert content(disk, 0, DISK_MIB * MIB) == before


def test_insecure_accepts_a_missing_signature_and_never_a_wrong_one(bench: Bench, disk: Path) -> None:
    assert "signed by nobody" in bench.install(disk, "unsigned", insecure=True)
    with pytest.raises(VerificationError, match="signature"):
        bench.install(disk, "changed.gz", insecure=True)


def test_a_disk_that_is_too_small_is_not_touched(bench: Bench, tmp_path: Path) -> None:
    with loops.loop(tmp_path / "small", mib=8) as device:
        with pytest.raises(InputError, match="too small: it has 8 MiB, the image needs 13 MiB"):
            bench.install(device)
        assert content(device, 0, 8 * MIB) == bytes(8 * MIB)


def test_a_mounted_disk_is_refused_with_the_place(bench: Bench, disk: Path, tmp_path: Path) -> None:
    run(["mkfs.ext4", "-q", disk])
    place = tmp_path / "place"
    place.mkdir()
    run(["mount", disk, place])
    try:
        with pytest.raises(BusyError, match=f"is mounted at {place}"):
            bench.install(disk)
    finally:
        run(["umount", place])


def test_what_is_no_disk_is_refused(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not a disk"):
        bench.install(tmp_path / "file")
    with pytest.raises(InputError, match="there is no disk"):
        bench.install(tmp_path / "none")


def test_preserve_on_error_leaves_what_is_there(bench: Bench, disk: Path) -> None:
    with pytest.raises(VerificationError):
        bench.install(disk, "changed.gz", preserve_on_error=True)
    assert content(disk, MIB, 5000) == noise("bios", 5000)


def test_a_verdict_of_another_key_is_no_verdict(bench: Bench, disk: Path, tmp_path: Path) -> None:
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    gpg = ["gpg", f"--homedir={home}", "--batch", "--quiet", "--passphrase=", "--pinentry-mode=loopback"]
    run([*gpg, "--quick-generate-key", "Other", "ed25519", "sign", "never"])
    other = tmp_path / "keys"
    other.mkdir()
    run([*gpg, f"--output={other / 'other.gpg'}", "--export"])
    run(["gpgconf", f"--homedir={home}", "--kill", "all"])
    with pytest.raises(VerificationError, match="not good"):
        replace(bench, keys=other).install(disk)
