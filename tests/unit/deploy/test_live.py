from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nestos.base.errors import CommandError, StateError
from nestos.base.log import Progress
from nestos.deploy import boot, live, live_state, rpm_ostree, status
from nestos.deploy.node import Node
from nestos.slots.bootstate import BootState, Slot, SlotState, SlotStatus
from tests.unit.deploy.fakes import GOOD, FakeMachine, FakeServer, made, node

OLD = made("1", day=1)
LAYERED = "cd" * 32
PACKAGES = {"erofs-utils": "1.8", "htop": "3"}
DIFF = """\
M    /usr/lib/sysimage/dpkg/status
A    /usr/bin/htop
A    /usr/etc/htop
A    /usr/etc/htop/htoprc
"""
MOUNT = "30 1 0:30 / /usr ro,relatime shared:1 - overlay {name} ro,lowerdir=/a:/b\n"
ROOT = "1 0 254:0 / / ro,relatime shared:1 - erofs /dev/mapper/root ro\n"


@dataclass(kw_only=True)
class World:
    """A node that runs 1 in slot a, with htop staged on it in slot b, and both trees in its repository."""

    node: Node
    machine: FakeMachine
    server: FakeServer

    def apply(self) -> None:
        live.apply(self.node, progress=Progress(io.StringIO()))

    def mounted(self, *names: str) -> None:
        place = self.node.root.join("/proc/1/mountinfo")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(ROOT + "".join(MOUNT.format(name=name) for name in names))

    def mounts(self) -> list[list[str]]:
        return [line[line.index("mount") + 1 :] for line in self.server.lines if "mount" in line]

    @property
    def layer(self) -> Path:
        return self.node.folder / "live" / LAYERED


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    files = {"usr/bin/htop": "#!", "usr/etc/htop/htoprc": "colour", "usr/lib/sysimage/dpkg/status": "htop"}
    server = FakeServer(files=files | {"usr/bin/other": "not listed"})
    server.publish(OLD)
    server.releases[LAYERED] = replace(OLD, metadata={**OLD.metadata, "nestos.packages": json.dumps(PACKAGES)})
    server.answer("ostree", "diff", stdout=DIFF)
    trying = SlotStatus(state=SlotState.TRYING, tries=2)
    machine = FakeMachine(BootState(pointer=Slot.B, booted=Slot.A, a=GOOD, b=trying))
    machine.put(Slot.A, OLD.deployment)
    machine.put(Slot.B, replace(OLD.deployment, layered_commit=LAYERED))
    on = node(tmp_path, machine, server)
    repository = on.folder / "repo"
    for commit in (OLD.deployment.commit, LAYERED):
        (repository / "objects" / commit[:2]).mkdir(parents=True, exist_ok=True)
        (repository / "objects" / commit[:2] / f"{commit[2:]}.commit").touch()
    (tmp_path / "usr/etc").mkdir(parents=True, exist_ok=True)
    found = World(node=on, machine=machine, server=server)
    found.mounted()
    yield found


def test_what_is_new_is_mounted_over_usr_and_nothing_else(world: World) -> None:
    world.apply()
    names = sorted(str(path.relative_to(world.layer)) for path in world.layer.rglob("*") if path.is_file())
    assert names == ["usr/bin/htop", "usr/etc/htop/htoprc", "usr/lib/sysimage/dpkg/status"]
    assert world.mounts() == [
        ["--bind", "--make-private", "/usr", "/run/nestos/usr"],
        [
            "--types=overlay",
            f"--options=ro,lowerdir={world.layer}/usr:/run/nestos/usr",
            "nestos-live",
            "/usr",
        ],
    ]
    assert not (world.node.folder / "live/tree").exists()
    assert world.server.ran("systemd-tmpfiles", "--create")
    assert world.server.ran("systemctl", "daemon-reload")


def test_new_files_of_etc_come_too_and_those_of_the_node_stay(world: World) -> None:
    world.apply()
    assert world.node.root.join("/etc/htop/htoprc").read_text() == "colour"
    world.node.root.join("/etc/htop/htoprc").write_text("mine")
    world.node.root.join("/run/nestos/live.json").unlink()
    world.apply()
    assert world.node.root.join("/etc/htop/htoprc").read_text() == "mine"


def test_what_needs_a_restart_is_refused_and_changes_nothing(world: World) -> None:
    world.server.answers.insert(
        0, (("ostree", "diff"), replace(world.server.answers[0][1], stdout="D    /usr/bin/a\n"))
    )
    with pytest.raises(StateError, match="/usr/bin/a goes") as caught:
        world.apply()
    assert caught.value.kind == "restart"
    assert world.mounts() == []
    assert not world.layer.exists()


def test_an_account_that_the_package_brings_needs_a_restart(world: World) -> None:
    defaults = world.node.defaults_of(replace(OLD.deployment, layered_commit=LAYERED))
    defaults.mkdir(parents=True)
    (defaults / "passwd").write_text("redis:x:990:990::/:/bin/false\n")
    with pytest.raises(StateError, match="the system account redis is new"):
        world.apply()


def test_a_mount_that_fails_takes_the_files_of_etc_away_again(world: World) -> None:
    world.server.fail("mount", "nestos-live", stderr="no overlay")
    with pytest.raises(CommandError):
        world.apply()
    assert not world.node.root.join("/etc/htop").exists()
    assert world.server.ran("umount", "/run/nestos/usr")
    assert live_state.live(world.node) is None


def test_the_second_time_nothing_is_left_to_do_and_later_additions_replace_the_mount(world: World) -> None:
    world.apply()
    world.mounted("nestos-live")
    with pytest.raises(StateError) as caught:
        world.apply()
    assert caught.value.kind == "unchanged"
    state = world.node.root.join("/run/nestos/live.json")
    state.write_text(json.dumps({"commit": "ee" * 32, "packages": {"htop": "3"}}))
    world.apply()
    assert [line[0] for line in world.mounts()] == ["--bind", "--types=overlay", "--types=overlay"]


def test_the_status_tells_what_is_live(world: World) -> None:
    world.apply()
    world.mounted("nestos-live")
    found = status.collect(world.node)
    assert (found.usr, status.document(found)["live"]) == ("transient", {"htop": "3"})
    assert "Until the restart: htop 3" in status.text(found)
    booted = next(item for item in rpm_ostree.document(found)["deployments"] if item["booted"])
    assert (booted["unlocked"], booted["live-replaced"]) == ("transient", LAYERED)


def test_a_reset_takes_every_mount_away(world: World) -> None:
    world.apply()
    world.mounted("nestos-live", "nestos-live")
    assert live.reset(world.node)
    assert [line[-1] for line in world.server.lines if "umount" in line] == ["/usr", "/usr", "/run/nestos/usr"]
    assert live_state.live(world.node) is None
    world.mounted()
    assert not live.reset(world.node)


def test_the_files_go_at_the_next_boot(world: World) -> None:
    world.apply()
    boot.mark_good(world.node)
    assert world.layer.exists()
    world.node.root.join("/run/nestos/live.json").unlink()
    boot.mark_good(world.node)
    assert not world.layer.exists()


def test_without_anything_staged_or_a_tree_to_compare_there_is_nothing_to_apply(world: World) -> None:
    (world.node.folder / "repo/objects" / LAYERED[:2] / f"{LAYERED[2:]}.commit").unlink()
    with pytest.raises(StateError, match="not in the node's repository"):
        world.apply()
    world.machine.block = type(world.machine.block)(BootState(pointer=Slot.A, booted=Slot.A, a=GOOD))
    with pytest.raises(StateError, match="nothing is staged"):
        world.apply()


def test_usr_is_writable_until_the_restart_and_only_once(world: World) -> None:
    live.usroverlay(world.node)
    place = "/run/nestos/usroverlay"
    options = f"--options=lowerdir=/usr,upperdir={place}/upper,workdir={place}/work"
    assert world.mounts() == [["--types=overlay", options, "nestos-usroverlay", "/usr"]]
    assert world.node.root.join(f"{place}/work").is_dir()
    world.mounted("nestos-usroverlay")
    assert live_state.unlocked(world.node) == "development"
    assert "/usr is writable" in status.text(status.collect(world.node))
    for forbidden in (lambda: live.usroverlay(world.node), world.apply, lambda: live.reset(world.node)):
        with pytest.raises(StateError, match="writable"):
            forbidden()
