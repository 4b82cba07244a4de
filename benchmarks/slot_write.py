"""Writing a slot through ``nestos.slots``, beside ``dd`` of the same bytes onto the same medium.

The steps are those of an update's own plan (``nestos.slots.install.STEPS``): the write with its flush, and the
read-back that verifies every block against the root hash. ``dd`` gets ``conv=fsync``; its read-backs are ``cmp``
with the image, and ``veritysetup verify``, which checks the same thing as ours.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import Bench, Benchmark
from benchmarks.measure import Result
from nestos.base.errors import CommandError
from nestos.compose.release import Release
from nestos.host import process
from nestos.host.toolbox import Toolbox
from nestos.slots import bootstate, install
from nestos.slots.bootstate import Slot
from nestos.slots.disk import Disk, Payload
from nestos.slots.etc import OverlayEtc
from nestos.slots.hardware import BlockPartition, BootFolder, EnvironmentFile
from nestos.wire.deployment import Deployment

_OURS, _OURS_VERIFIED = "nestos, write and flush", "nestos, write, flush and verified read-back"
_DD, _DD_COMPARED, _DD_VERIFIED = "dd conv=fsync", "dd conv=fsync, then cmp", "dd conv=fsync, then veritysetup verify"


@dataclass(frozen=True, kw_only=True)
class _Medium:
    """What is written to: a loop device over a file, or the file itself where there are no loop devices."""

    target: Path
    sentence: str


def run(bench: Bench) -> Result:
    """Writes the base edition's slot image with both, in turns."""
    release = bench.release("base.yaml").release
    image = Path(release.image)
    with ExitStack() as stack:
        medium = stack.enter_context(_medium(bench, size_bytes=release.slot_size))
        _prepare(bench, image, medium)
        for number in bench.rounds():
            writers = (_write_with_dd, _write_with_slots)
            for write in writers if number % 2 else reversed(writers):
                write(bench, release, medium)
    megabytes = release.image_size / 1e6
    return bench.samples.result(
        [(_OURS, _DD), (_OURS_VERIFIED, _DD), (_OURS_VERIFIED, _DD_COMPARED), (_OURS_VERIFIED, _DD_VERIFIED)],
        notes=[
            f"The slot image of the base edition, {megabytes:.0f} MB, in the page cache.",
            f"Written over itself, to {medium.sentence}.",
            "Both writers use blocks of 4 MiB. The read-backs bypass the page cache, or begin with it emptied.",
            "An update does more than this: it verifies the staged image before, and writes the boot files behind.",
        ],
    )


def _write_with_dd(bench: Bench, release: Release, medium: _Medium) -> None:
    """Written once; each way to read it back is added to the time of that write."""
    clock, target = bench.samples.clock, medium.target
    toolbox = Toolbox(bench.tools().root, binds=[bench.workspace.home], devices=True)
    began = clock.monotonic()
    process.run(
        ["dd", f"if={release.image}", f"of={target}", "bs=4M", "conv=fsync,notrunc", "status=none"],
    )
    writing = clock.monotonic() - began
    bench.samples.add(_DD, writing)

    def read_back(name: str, runner: process.Runner, command: list[str | Path]) -> None:
        _forget(target)
        began = clock.monotonic()
        with bench.progress.stage(name):
            runner(command)
        bench.samples.add(name, writing + clock.monotonic() - began)

    read_back(_DD_COMPARED, process.run, ["cmp", f"--bytes={release.image_size}", release.image, target])
    verify: list[str | Path] = ["veritysetup", "verify", f"--hash-offset={release.hash_offset}", target, target]
    verify.append(release.root_hash)
    read_back(_DD_VERIFIED, toolbox, verify)


def _write_with_slots(bench: Bench, release: Release, medium: _Medium) -> None:
    """The write and read-back steps of an update's plan, timed by what the plan itself reports."""
    clock = bench.samples.clock
    began: dict[str, float] = {}
    seconds: dict[str, float] = {}

    def report(step: str, done: int, total: int) -> None:
        if (done, total) == (0, 1):
            began[step] = clock.monotonic()
        elif (done, total) == (1, 1):
            seconds[step] = clock.monotonic() - began[step]

    with tempfile.TemporaryDirectory(dir=bench.folder) as folder, bench.progress.stage(_OURS_VERIFIED):
        partition = BlockPartition(medium.target)
        plan = install.plan(_disk(Path(folder), partition), _payload(release), booted=Slot.A)
        steps = tuple(step for step in plan.steps if step.name in ("write", "read back"))
        try:
            install.Plan(target=plan.target, state=plan.state, steps=steps).run(report)
        finally:
            partition.close()
    bench.samples.add(_OURS, seconds["write"])
    bench.samples.add(_OURS_VERIFIED, seconds["write"] + seconds["read back"])


def _disk(folder: Path, partition: BlockPartition) -> Disk:
    boot = folder / "boot"
    (boot / "grub").mkdir(parents=True)
    (boot / "grub/grubenv").write_bytes(bootstate.render(bootstate.fresh()))
    return Disk(
        partitions={Slot.B: partition},
        boot=BootFolder(boot),
        environment=EnvironmentFile(boot),
        etc=OverlayEtc(folder / "etc", old_default=folder, new_default=folder),
    )


def _payload(release: Release) -> Payload:
    deployment = Deployment(
        version=release.version,
        commit=release.commit,
        root_hash=release.root_hash,
        hash_offset=release.hash_offset,
        image_size=release.image_size,
        kernel_digest=release.kernel_digest,
        ref=release.ref,
        kargs=tuple(release.kargs),
    )
    return Payload(
        deployment=deployment,
        image=Path(release.image),
        kernel=Path(release.vmlinuz),
        initramfs=Path(release.initramfs),
    )


@contextmanager
def _medium(bench: Bench, *, size_bytes: int) -> Iterator[_Medium]:
    file = bench.folder / "medium.raw"
    with file.open("wb") as handle:
        os.posix_fallocate(handle.fileno(), 0, size_bytes)
    try:
        try:
            device = process.run(["losetup", "--direct-io=on", "--find", "--show", file]).stdout.strip()
        except CommandError:
            yield _Medium(target=file, sentence="a file")
            return
        try:
            yield _Medium(target=Path(device), sentence="a loop device (direct I/O) over a file")
        finally:
            process.run(["losetup", "--detach", device])
    finally:
        file.unlink()


def _prepare(bench: Bench, image: Path, medium: _Medium) -> None:
    """Writes the image once unmeasured: it is in the page cache then, and every block of the medium was written."""
    with bench.progress.stage("filling the medium"):
        process.run(["dd", f"if={image}", f"of={medium.target}", "bs=4M", "conv=fsync,notrunc", "status=none"])


def _forget(path: Path) -> None:
    """Empties the page cache of ``path``, whose writes are on the disk already."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


BENCHMARK = Benchmark(
    name="slot-write",
    summary="a slot image through nestos.slots, against dd of the same bytes",
    run=run,
    runs=15,
    minutes=1,
)
