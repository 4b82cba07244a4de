"""Power cuts in the middle of an update: the node comes up on the old or the new version, with its state whole.

Each cut resumes a copy of the saved machine, starts the update, kills QEMU at its moment (what that loses:
``nestos.lab.spec``) and boots the disk that is left.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from nestos.lab.disks import CLUSTER_BYTES
from nestos.lab.scenario import Lab, scenario
from nestos.lab.spec import Disk, DiskFormat
from tests.scenarios.node import FRESH, TEST_REF, Node, releases, spec
from tests.scenarios.prepared import MARKS, resume, without_memory
from tests.scenarios.updating import READY

_UNIT = "scenario-update"
_WRITES = 150


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What every cut of a scenario shares: the server, how long a whole update takes, the versions on both sides."""

    url: str
    seconds: float
    versions: frozenset[str]


def measure(lab: Lab) -> Bench:
    """One whole update of a copy, for its time."""
    server, known = lab.server(lab.images["repository"]), releases(lab)
    with lab.step("one whole update, for its time"):
        node = resume(lab, name="whole")
        node.follow(server.guest_url, ref=TEST_REF)
        began = time.monotonic()
        start_update(node)
        wait_for_update(lab, node)
        seconds = time.monotonic() - began
        node.machine.close()
    lab.facts["update_seconds"] = round(seconds, 1)
    versions = frozenset({known["v1"]["version"], known["v2"]["version"]})
    return Bench(url=server.guest_url, seconds=seconds, versions=versions)


def start_update(node: Node) -> None:
    """Starts the update and returns at once."""
    node.run(f"systemd-run --unit={_UNIT} --property=Type=oneshot --no-block nestos upgrade")


def wait_for_update(lab: Lab, node: Node) -> None:
    """Waits until the update is done, and checks that it succeeded."""
    for _ in range(600):
        shown = node.output(f"systemctl show --property=ActiveState,Result {_UNIT}")
        if "ActiveState=activating" not in shown:
            lab.check("Result=success" in shown, f"the update ended so: {shown}")
            return
        lab.sleep(2)
    lab.check(False, "the update takes more than twenty minutes")


def off_and_on(lab: Lab, victim: Node) -> Node:
    """Cuts the power of ``victim`` and starts it from the disks that are left."""
    victim.machine.kill()
    again = without_memory(lab, victim)
    again.start()
    return again


def cut(lab: Lab, bench: Bench, *, number: int, moment_seconds: float) -> dict[str, Any]:
    """Cuts the power ``moment_seconds`` into an update, boots, and checks the node. What it found."""
    name = f"cut-{number:02d}"
    victim = resume(lab, name=name)
    victim.follow(bench.url, ref=TEST_REF)
    start_update(victim)
    lab.sleep(moment_seconds)
    again = off_and_on(lab, victim)
    status = again.wait_healthy()
    version = again.version()
    lab.check(version in bench.versions, f"{name}: {version} runs")
    lab.check(status["problem"] == "", f"{name}: {status['problem']}")
    for path, text in MARKS.items():
        lab.check(again.read(path) == text, f"{name}: {path} is {again.read(path)!r}")
    lab.check(again.failed_units() == [], f"{name}: failed units {again.failed_units()}")
    other = status["slots"]["b" if status["booted"] == "a" else "a"]["state"]
    again.machine.close()
    (lab.folder / f"{name}.qcow2").unlink()
    return {"moment_seconds": round(moment_seconds, 1), "version": version, "booted": status["booted"], "other": other}


def sweep(lab: Lab, numbers: range) -> None:
    """Cuts at moments spread evenly over an update and a little beyond its end: those of ``numbers``."""
    bench = measure(lab)
    outcomes = []
    for number in numbers:
        moment = bench.seconds * 1.05 * (number + 0.5) / numbers.stop
        with lab.step(f"cut {number + 1} of {numbers.stop}, {moment:.0f} s into the update"):
            outcomes.append(cut(lab, bench, number=number, moment_seconds=moment))
    lab.facts["cuts"] = outcomes
    lab.facts["versions"] = sorted({outcome["version"] for outcome in outcomes})


@scenario("kill-is-a-power-cut", minutes=3, needs=["base"], tags=["long"])
def a_kill_loses_what_was_not_flushed(lab: Lab) -> None:
    """The premise of all cuts: killing QEMU loses writes that were not flushed, and none that were."""
    plain = lab.empty_disk("plain", size="1G")
    base = spec("node", lab.disk("base", name="node"))
    disk = Disk(path=plain, format=DiskFormat.QCOW2, serial="plain")
    node = Node(lab, lab.machine(replace(base, disks=(disk,)), config=FRESH))
    with lab.step("writes, some of them flushed, and the cut"):
        node.start()
        device = "/dev/disk/by-id/virtio-plain"
        # Each in a cluster of its own, past the guest's page cache; only every tenth is followed by a flush.
        node.run(
            f"for i in $(seq 0 {_WRITES - 1}); do [ $((i % 10)) = 0 ] && how=,fsync || how=;"
            f" printf 'write %d' $i | dd of={device} bs=4096 oflag=direct,seek_bytes seek=$((i * {CLUSTER_BYTES}))"
            " iflag=fullblock conv=sync,notrunc$how status=none; done",
            timeout_seconds=600,
        )
        node.machine.kill()
    raw = lab.folder / "plain.raw"
    lab.equipment.tools.with_binds(lab.folder)(["qemu-img", "convert", "-O", "raw", str(plain), str(raw)])
    with raw.open("rb") as file:
        there = {number for number in range(_WRITES) if _holds(file, number)}
    last_flush = (_WRITES - 1) // 10 * 10
    flushed, others = set(range(last_flush + 1)), set(range(last_flush + 1, _WRITES))
    lab.facts["lost"] = sorted((flushed | others) - there)
    lab.check(flushed <= there, f"flushed writes were lost: {sorted(flushed - there)}")
    lab.check(others - there, "every write after the last flush was kept: a kill is no power cut")


def _holds(file: BinaryIO, number: int) -> bool:
    file.seek(number * CLUSTER_BYTES)
    return file.read(4096).rstrip(b"\0") == f"write {number}".encode()


@scenario("power-cut-odd", minutes=45, needs=READY, tags=["long"])
def survives_every_other_power_cut(lab: Lab) -> None:
    """Power cut at the odd ones of 20 moments spread over an update: old or new version, /etc and /var whole."""
    sweep(lab, range(0, 20, 2))


@scenario("power-cut-even", minutes=45, needs=READY, tags=["long"])
def survives_the_other_power_cuts(lab: Lab) -> None:
    """Power cut at the even ones of the 20 moments; two scenarios, so that two machines share the time."""
    sweep(lab, range(1, 20, 2))


@scenario("power-cut-few", minutes=16, needs=READY, tags=["long"])
def survives_a_few_power_cuts(lab: Lab) -> None:
    """Power cut at 3 moments."""
    sweep(lab, range(3))
