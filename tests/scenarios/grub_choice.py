"""The real GRUB against ``nestos.slots.bootstate.choose``, and through its whole boot path, in QEMU.

First every state of the environment is put to the functions of ``grub.cfg`` in one run and compared with what
``choose`` says. Then disks made by ``compose.artifacts.disk`` are booted with a kernel that only prints its command
line (``fake_kernel``): sequences of boots, damaged files, a damaged environment, a disk that cannot be written, a
second disk beside the first, a person at the menu; on BIOS and UEFI. About two minutes without KVM.

By hand: ``python -m tests.scenarios.grub_choice TOOLS_TREE [WORK_FOLDER]``.
"""

from __future__ import annotations

import itertools
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nestos.base.log import Progress
from nestos.compose.artifacts import disk
from nestos.host import process
from nestos.host.bootloader import grub
from nestos.host.toolbox import Toolbox
from nestos.slots import bootstate, environment
from nestos.wire import gpt
from tests.scenarios import fake_kernel

_GOOD = {"boot": "a", "a_state": "good", "a_tries": "3", "b_state": "good", "b_tries": "3"}
_FIRMWARE = Path("/usr/share/OVMF")
_LONGEST_SECONDS = 300.0


class Bench:
    """A base image with both slots filled, copies of it to spoil, and QEMU to boot them."""

    def __init__(self, tools: Toolbox, folder: Path) -> None:
        self.folder = folder
        self.run = tools.with_binds(folder)
        self.base, self.table = self.build("base", seed="first")
        self.environment_at = self._environment_place()
        self._copies = itertools.count()

    def build(self, name: str, *, seed: str) -> tuple[Path, gpt.Table]:
        """An image with a fake kernel in both slots."""
        kernel, initramfs, slot = (self.folder / part for part in ("vmlinuz", "initramfs.img", "slot.img"))
        kernel.write_bytes(fake_kernel.image())
        initramfs.write_bytes(b"nothing in here")
        slot.write_bytes(b"slot" * 1024)
        spec = disk.DiskSpec(
            slot_image=slot,
            kernel=kernel,
            initramfs=initramfs,
            deployment=deployment("1.0"),
            sizes=disk.Sizes(esp=40 * disk.MIB, boot=64 * disk.MIB, slot=disk.MIB, var=256 * disk.MIB),
            seed=seed,
        )
        path = self.folder / f"{name}.raw"
        table = disk.build(spec, output=path, runner=self.run)
        second = grub.slot_configuration(root_hash="b" * 64, hash_offset=8192, version="2.0", kargs=("two=2",))
        self.change(path, table=table, write={"slot-b/vmlinuz": kernel.read_bytes(), "slot-b/initramfs.img": b"more"})
        self.change(path, table=table, write={"slot-b/slot.cfg": second.encode()})
        return path, table

    def change(
        self,
        path: Path,
        *,
        table: gpt.Table | None = None,
        write: Mapping[str, bytes] | None = None,
        remove: Iterable[str] = (),
    ) -> None:
        """Writes and removes files of the boot partition of the image at ``path``."""
        commands = [f"rm /{name}" for name in remove]
        for number, (name, content) in enumerate((write or {}).items()):
            source = self.folder / f"content-{number}"
            source.write_bytes(content)
            commands += [f"mkdir /{Path(name).parent}", f"rm /{name}", f"write {source} /{name}"]
        self._debugfs(path, "\n".join(commands), table=table or self.table, writable=True)

    def copy(self, *, variables: Mapping[str, str] | None = None, block: bytes | None = None) -> Path:
        """A copy of the base image whose environment holds ``variables``, or is ``block``."""
        path = self.folder / f"copy-{next(self._copies)}.raw"
        self.run(["cp", "--sparse=always", self.base, path])
        if block is None:
            block = environment.render(variables or _GOOD, others={})
        with path.open("r+b") as file:
            file.seek(self.environment_at)
            file.write(block)
        return path

    def variables(self, path: Path) -> dict[str, str]:
        """The environment of the image at ``path``."""
        with path.open("rb") as file:
            file.seek(self.environment_at)
            return environment.parse(file.read(environment.BLOCK_BYTES))

    def boot(
        self,
        path: Path,
        *,
        marks: int = 1,
        until: str = fake_kernel.MARK,
        firmware: str = "bios",
        options: Sequence[str] = (),
        keys: Sequence[tuple[str, bytes]] = (),
        drive: str = "",
    ) -> str:
        """Boots the image and lets it reset until ``until`` was on the serial line ``marks`` times; returns the line.

        ``keys`` pairs a text to wait for with what is then typed. Raises ``AssertionError`` when it takes too long.
        """
        with tempfile.TemporaryDirectory(prefix="grub-") as name:
            place = Path(name)
            command = self._command(path, firmware=firmware, sockets=place, drive=drive)
            log = self.folder / "qemu.log"
            with log.open("wb") as output:
                tools = self.run.with_binds(place)
                qemu = process.start(tools.wrap([*command, *options]), output=output)
            try:
                return _listen(place / "serial", marks=marks, until=until, keys=keys)
            except (OSError, AssertionError) as error:
                raise AssertionError(f"{error}\nQEMU says: {log.read_text()}") from error
            finally:
                qemu.kill()
                qemu.wait()

    def _command(self, path: Path, *, firmware: str, sockets: Path, drive: str) -> list[str]:
        command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "256"]
        command += ["-nodefaults", "-display", "none", "-vga", "std"]
        command += ["-chardev", f"socket,id=line,path={sockets}/serial,server=on,wait=on", "-serial", "chardev:line"]
        if firmware == "uefi":
            variables = sockets / "variables.fd"
            self.run.with_binds(sockets)(["cp", _FIRMWARE / "OVMF_VARS_4M.fd", variables])
            code = _FIRMWARE / "OVMF_CODE_4M.fd"
            command += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}"]
            command += ["-drive", f"if=pflash,format=raw,unit=1,file={variables}"]
        command += ["-drive", f"if=none,id=main,format=raw,file={path}{drive}"]
        return [*command, "-device", "virtio-blk-pci,drive=main,bootindex=1,addr=0x10"]

    def _environment_place(self) -> int:
        printed = self._debugfs(self.base, "blocks /grub/grubenv", table=self.table)
        block = int(re.findall(r"^(\d+)\s*$", printed, re.MULTILINE)[-1])
        return self.table["boot"].offset_bytes + block * 4096

    def _debugfs(self, path: Path, commands: str, *, table: gpt.Table, writable: bool = False) -> str:
        file_system = f"{path}?offset={table['boot'].offset_bytes}"
        options = ["-w"] if writable else []
        return self.run(["debugfs", *options, "-f", "/dev/stdin", file_system], stdin=commands + "\n").stdout


def deployment(version: str) -> disk.Deployment:
    """What the boot partition says about slot A."""
    return disk.Deployment(
        version=version,
        commit="c" * 64,
        ref="nestos/x86_64/test",
        root_hash="a" * 64,
        hash_offset=4096,
        image_size=8192,
        kernel_digest="d" * 64,
        timestamp="2025-01-01T00:00:00Z",
        kargs=("quiet", 'dyndbg="file a.c +p"', "brackets=[::1]", "odd=$x;'y"),
    )


def _listen(path: Path, *, marks: int, until: str, keys: Sequence[tuple[str, bytes]]) -> str:
    """What comes over the serial line until ``until`` was there ``marks`` times and its line has ended."""
    deadline = time.monotonic() + _LONGEST_SECONDS
    received, pending = "", list(keys)
    with _connected(path, deadline=deadline) as line:
        line.settimeout(1.0)
        while time.monotonic() < deadline:
            try:
                piece = line.recv(65536)
            except TimeoutError:
                continue
            if not piece:
                break
            received += piece.decode(errors="replace")
            if pending and pending[0][0] in received:
                line.sendall(pending.pop(0)[1])
            parts = received.split(until)
            if len(parts) > marks and "\n" in parts[marks]:
                return received
    raise AssertionError(f"{marks} times {until!r} was expected on the serial line:\n{received[-3000:]}")


def _connected(path: Path, *, deadline: float) -> socket.socket:
    while True:
        line = socket.socket(socket.AF_UNIX)
        try:
            line.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            line.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return line


def command_lines(text: str) -> list[str]:
    """The kernel command lines of each boot."""
    return [line.strip() for line in re.findall(re.escape(fake_kernel.MARK) + r"(.*)", text)]


def slots(text: str) -> str:
    """The slots that were booted, in order, as ``abb``."""
    return "".join(found for line in command_lines(text) for found in re.findall(r"nestos\.slot=([ab])", line))


def every_state() -> list[dict[str, str]]:
    """Every environment, some that nobody should have written among them."""
    states = [*bootstate.SlotState, "nonsense", ""]
    tries = ["0", "1", "2", "3", "7", ""]
    return [
        {"boot": boot, "a_state": a, "a_tries": at, "b_state": b, "b_tries": bt}
        for boot, a, at, b, bt in itertools.product(["a", "b", "x"], states, tries, states, tries)
    ]


def check_table(bench: Bench) -> None:
    """GRUB and ``choose`` decide alike in every state."""
    states = every_state()
    driver = grub.CHOICE + (
        "function ask {\n"
        "  set boot=$1; set a_state=$2; set a_tries=$3; set b_state=$4; set b_tries=$5\n"
        "  choose\n"
        '  echo "ANSWER $slot,$booted,$a_state,$a_tries,$b_state,$b_tries"\n'
        "}\n"
        "serial --unit=0\nterminal_output serial\n"
    )
    driver += "".join("ask " + " ".join(f'"{word}"' for word in state.values()) + "\n" for state in states)
    path = bench.copy()
    bench.change(path, write={"grub/grub.cfg": (driver + 'echo "END"\n').encode()})
    answers = re.findall(r"ANSWER ([^\r\n]*)", bench.boot(path, until="END"))
    assert len(answers) == len(states), f"{len(answers)} answers to {len(states)} questions"
    for state, answer in zip(states, answers, strict=True):
        before = bootstate.parse(environment.render(state, others={}))
        slot, after = bootstate.choose(before)
        found_slot, *words = answer.split(",")
        names = ("booted", "a_state", "a_tries", "b_state", "b_tries")
        found = bootstate.parse(environment.render(dict(zip(names, words, strict=True)), others={}))
        found = replace(found, pointer=before.pointer)
        assert (found_slot, found) == (slot, after), f"{state}: GRUB {answer}, choose {slot} {after}"


def check_first_boot(bench: Bench, firmware: str) -> None:
    """A fresh image starts slot A with the whole command line and spends one try."""
    path = bench.copy(block=bootstate.render(bootstate.fresh()))
    (line,) = command_lines(bench.boot(path, firmware=firmware))
    uuid = {item.name: str(item.guid) for item in bench.table.partitions}
    device = f"/dev/disk/by-partuuid/{uuid['root-a']}"
    assert line == (
        f"BOOT_IMAGE=/slot-a/vmlinuz root=/dev/mapper/root rootfstype=erofs ro roothash={'a' * 64}"
        f" systemd.verity_root_data={device} systemd.verity_root_hash={device}"
        " systemd.verity_root_options=superblock=true,hash-offset=4096,panic-on-corruption"
        f" nestos.slot=a nestos.boot={uuid['boot']} nestos.var={uuid['var']} nestos.passive={uuid['root-b']}"
        ' panic=10 quiet "dyndbg=file a.c +p" brackets=[::1] odd=$x;\\\'y ignition.platform.id=qemu ignition.firstboot'
    ), line
    found = bench.variables(path)
    assert found == _GOOD | {"a_tries": "2", "b_state": "empty", "b_tries": "0", "booted": "a"}, found


def check_provisioned(bench: Bench, firmware: str) -> None:
    """Without the stamp there is no first boot; words in the stamp reach the kernel."""
    path = bench.copy()
    bench.change(path, remove=["ignition.firstboot"])
    (line,) = command_lines(bench.boot(path, firmware=firmware))
    assert "ignition.firstboot" not in line, line
    stamp = b"set ignition_network_kcmdline='rd.neednet=1 ip=dhcp'\n"
    bench.change(path, write={"ignition.firstboot": stamp})
    (line,) = command_lines(bench.boot(path, firmware=firmware))
    assert line.endswith("ignition.platform.id=qemu ignition.firstboot rd.neednet=1 ip=dhcp"), line


def check_sequence(bench: Bench, firmware: str) -> None:
    """A new slot that never proves itself is given up for the good one, and the good one is never given up."""
    path = bench.copy(variables=_GOOD | {"boot": "b", "b_state": "trying", "b_tries": "2"})
    booted = slots(bench.boot(path, marks=7, firmware=firmware))
    assert booted == "bbaaaaa", booted
    found = bench.variables(path)
    # The sixth boot found no try left anywhere and gave three back to the good slot; the seventh spent one.
    expected = _GOOD | {"boot": "b", "a_tries": "2", "b_state": "bad", "b_tries": "0", "booted": "a"}
    assert found == expected, found


def check_damaged_files(bench: Bench, firmware: str) -> None:
    """A slot whose files are missing or no kernel leads to the other one at once, without a person."""
    damages: list[tuple[str, dict[str, bytes], list[str]]] = [
        ("no kernel", {}, ["slot-b/vmlinuz"]),
        ("no initramfs", {}, ["slot-b/initramfs.img"]),
        ("no slot.cfg", {}, ["slot-b/slot.cfg"]),
        ("kernel of zeros", {"slot-b/vmlinuz": bytes(4096)}, []),
        ("kernel cut short", {"slot-b/vmlinuz": fake_kernel.image()[:300]}, []),
        ("slot.cfg of zeros", {"slot-b/slot.cfg": bytes(512)}, []),
        ("slot.cfg cut short", {"slot-b/slot.cfg": b"set roothash='abc"}, []),
    ]
    for name, write, remove in damages:
        path = bench.copy(variables=_GOOD | {"boot": "b", "b_state": "trying", "b_tries": "2"})
        bench.change(path, write=write, remove=remove)
        booted = slots(bench.boot(path, firmware=firmware))
        found = bench.variables(path)
        expected = _GOOD | {"boot": "b", "a_tries": "2", "b_state": "bad", "b_tries": "0", "booted": "a"}
        assert (booted, found) == ("a", expected), f"{name}: {booted} {found}"


def check_nothing_loads(bench: Bench, firmware: str) -> None:
    """With both slots damaged GRUB says so and starts over instead of waiting in a menu."""
    path = bench.copy()
    bench.change(path, remove=["slot-a/vmlinuz", "slot-b/vmlinuz"])
    bench.boot(path, until="neither slot can be loaded", marks=2, firmware=firmware)


def check_bad_but_only(bench: Bench, firmware: str) -> None:
    """When the pointer's slot cannot be loaded, the other is tried even if it was judged bad."""
    path = bench.copy(variables=_GOOD | {"b_state": "bad", "b_tries": "0"})
    bench.change(path, remove=["slot-a/initramfs.img"])
    booted = slots(bench.boot(path, firmware=firmware))
    assert booted == "b", booted


def check_environment(bench: Bench, firmware: str) -> None:
    """A damaged or missing environment, or one that cannot be saved, does not keep the machine from booting."""
    for name, block in (("zeros", bytes(1024)), ("noise", bytes(range(256)) * 4)):
        booted = slots(bench.boot(bench.copy(block=block), firmware=firmware))
        assert booted == "a", f"{name}: {booted}"
    path = bench.copy()
    bench.change(path, remove=["grub/grubenv"])
    assert slots(bench.boot(path, firmware=firmware)) == "a"
    path = bench.copy(variables=_GOOD | {"boot": "b"})
    text = bench.boot(path, marks=2, firmware=firmware, drive=",readonly=on")
    assert slots(text) == "bb", text
    assert bench.variables(path) == _GOOD | {"boot": "b"}


def check_second_disk(bench: Bench, firmware: str) -> None:
    """GRUB stays on the disk it came from, whichever side another NestOS disk is attached on."""
    other, _ = bench.build("other", seed="second")
    path = bench.copy()
    for slot in ("before", "behind"):
        address = {"before": "0x08", "behind": "0x18"}[slot]
        options = ["-drive", f"if=none,id=more,format=raw,file={other}"]
        options += ["-device", f"virtio-blk-pci,drive=more,addr={address}"]
        (line,) = command_lines(bench.boot(path, firmware=firmware, options=options))
        assert f"nestos.boot={bench.table['boot'].guid}" in line, f"{slot}: {line}"
        assert f"by-partuuid/{bench.table['root-a'].guid}" in line, f"{slot}: {line}"


def check_menu(bench: Bench, firmware: str) -> None:
    """A person can choose a slot with the escape key; that spends no try. Noise on the line changes nothing."""
    shown = "\x1b[H" if firmware == "bios" else "\x1b[01;01H1"
    path = bench.copy()
    (line,) = command_lines(bench.boot(path, firmware=firmware, keys=[(shown, b"xq\r")]))
    assert "nestos.slot=a" in line, line
    path = bench.copy()
    # UEFI firmware takes a single escape for the begin of a key's sequence, and waits for the rest for two seconds.
    escape = b"\x1b" if firmware == "bios" else b"\x1b\x1b"
    text = bench.boot(path, firmware=firmware, keys=[(shown, escape), ("slot B (2.0, good)", b"\x0e\x0e\r")])
    assert "slot A (1.0, good)" in text, text
    assert slots(text) == "b", text
    assert bench.variables(path) == _GOOD | {"booted": "b"}


CHECKS: tuple[tuple[Callable[[Bench, str], None], tuple[str, ...]], ...] = (
    (check_first_boot, ("bios", "uefi")),
    (check_provisioned, ("bios",)),
    (check_sequence, ("bios", "uefi")),
    (check_damaged_files, ("bios", "uefi")),
    (check_nothing_loads, ("bios",)),
    (check_bad_but_only, ("bios",)),
    (check_environment, ("bios", "uefi")),
    (check_second_disk, ("bios", "uefi")),
    (check_menu, ("bios", "uefi")),
)


def run(tools: Toolbox, folder: Path, *, progress: Progress) -> list[str]:
    """Every check; returns a sentence for each that failed."""
    bench = Bench(tools, folder)
    cases: list[tuple[str, Callable[[], None]]] = [("every state", lambda: check_table(bench))]
    for check, firmwares in CHECKS:
        for firmware in firmwares:
            name = f"{check.__name__.removeprefix('check_').replace('_', ' ')} ({firmware})"
            cases.append((name, lambda check=check, firmware=firmware: check(bench, firmware)))  # type: ignore[misc]
    failures = []
    for name, case in cases:
        try:
            with progress.stage(name):
                case()
        except AssertionError as error:
            failures.append(f"{name}: {error}")
    return failures


def main(arguments: Sequence[str]) -> int:
    """The program: the tools tree, and a folder to work in (none: a temporary one)."""
    tools, progress = Toolbox(Path(arguments[0])), Progress()
    folder = Path(arguments[1]) if len(arguments) > 1 else Path(tempfile.mkdtemp(prefix="grub-choice-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        failures = run(tools, folder, progress=progress)
    finally:
        if len(arguments) == 1:
            shutil.rmtree(folder)
    for failure in failures:
        progress.say(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
