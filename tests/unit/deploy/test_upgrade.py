from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nestos.base.errors import InputError, NestosError, NetworkError, SpaceError, StateError, VerificationError
from nestos.base.log import Progress
from nestos.deploy.config import Settings
from nestos.deploy.node import Node
from nestos.deploy.records import Denial, Event
from nestos.deploy.release import Verdict
from nestos.deploy.upgrade import Offer, Options, Upgrade
from nestos.slots import install
from nestos.slots.bootstate import BootState, Slot, SlotState, SlotStatus
from tests.unit.deploy.fakes import GOOD, REF, FakeMachine, FakeServer, Made, made, node, running_a
from tests.unit.ostree import recorded

NOTHING_ALLOWED = Options()


@dataclass(kw_only=True)
class World:
    """A node that runs 1 in slot a, and a server that offers 2."""

    node: Node
    machine: FakeMachine
    server: FakeServer
    old: Made
    new: Made
    said: io.StringIO

    @property
    def upgrade(self) -> Upgrade:
        return Upgrade(self.node, progress=Progress(self.said))

    def examine(self, *, version: str = "", options: Options = NOTHING_ALLOWED) -> Offer:
        return self.upgrade.examine(version=version, options=options)

    def untouched(self) -> bool:
        """Nothing that decides the next boot changed, nor did the passive slot."""
        return self.machine.block.writes == 0 and not any(self.machine.partitions[Slot.B].content)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    server = FakeServer()
    old = server.publish(made("1", day=1))
    new = server.publish(made("2", day=2, parent=old.deployment.commit))
    machine = FakeMachine(running_a(b=SlotStatus()))
    machine.put(Slot.A, replace(old.deployment, kargs=("quiet", "console=ttyS0")))
    yield World(
        node=node(tmp_path, machine, server), machine=machine, server=server, old=old, new=new, said=io.StringIO()
    )


# What is offered


def test_a_newer_release_is_an_update_and_only_its_commit_was_fetched(world: World) -> None:
    offer = world.examine()
    assert (offer.verdict, offer.release.version) == (Verdict.UPDATE, "2")
    pulls = [line for line in world.server.lines if line[:2] == ["ostree", "pull"]]
    assert pulls
    assert all("--commit-metadata-only" in line for line in pulls)
    assert world.untouched()


def test_what_runs_needs_nothing(world: World) -> None:
    world.server.head = world.old.deployment.commit
    offer = world.examine()
    assert (offer.verdict, offer.need) == (Verdict.UNCHANGED, None)


def test_signatures_are_required_of_the_remote(world: World) -> None:
    world.examine()
    (line,) = [line for line in world.server.lines if line[:2] == ["ostree", "remote"]]
    assert "--set=gpg-verify=true" in line
    assert "--set=gpg-verify-summary=true" in line
    assert f"--set=gpgkeypath={world.node.root.join('/etc/nestos/keys')}" in line


def test_a_node_that_trusts_no_key_takes_nothing(world: World) -> None:
    world.node.root.join("/etc/nestos/keys/release.gpg").unlink()
    with pytest.raises(StateError, match="trusts no key"):
        world.examine()


def test_a_node_without_a_source_says_where_to_set_it(world: World) -> None:
    world.node = replace(world.node, settings=Settings())
    with pytest.raises(StateError, match="no update source") as caught:
        world.examine()
    assert "url" in caught.value.hint


@pytest.mark.parametrize(
    ("stderr", "kind"),
    [
        pytest.param(recorded.UNSIGNED, VerificationError, id="unsigned"),
        pytest.param(recorded.UNKNOWN_KEY, VerificationError, id="wrongly signed"),
        pytest.param(recorded.BAD_SIGNATURE, VerificationError, id="bad signature"),
        pytest.param(recorded.CORRUPT_COMMIT, VerificationError, id="truncated commit"),
        pytest.param(recorded.REFUSED, NetworkError, id="server away"),
        pytest.param(recorded.NO_HOST, NetworkError, id="no such host"),
        pytest.param(recorded.NO_BRANCH, InputError, id="no such branch"),
    ],
)
def test_an_offer_that_cannot_be_trusted_or_had_ends_the_command(
    world: World, stderr: str, kind: type[NestosError]
) -> None:
    world.server.fail("ostree", "pull", stderr=stderr)
    with pytest.raises(kind):
        world.examine()
    assert world.untouched()


def test_a_commit_that_is_no_release_is_refused(world: World) -> None:
    world.server.publish(made("3", day=3, metadata={"nestos.verity-root-hash": ""}))
    with pytest.raises(VerificationError, match=r"nestos\.verity-root-hash"):
        world.examine()


def test_a_repository_that_went_back_in_time_is_refused_unless_allowed(world: World) -> None:
    world.server.publish(made("0", day=1, metadata={}))
    with pytest.raises(StateError, match="went back in time"):
        world.examine()
    assert world.examine(options=Options(allow_downgrade=True)).verdict is Verdict.UPDATE


def test_a_release_that_failed_here_is_refused_unless_allowed(world: World) -> None:
    commit = world.new.deployment.commit
    world.node.records.deny(Denial(version="2", commit=commit, reason="panic", time="then"))
    with pytest.raises(StateError, match="panic"):
        world.examine()
    assert world.examine(options=Options(allow_denied=True)).verdict is Verdict.UPDATE


# Deploying a version


def test_a_version_is_found_down_the_history(world: World) -> None:
    third = world.server.publish(made("3", day=3, parent=world.new.deployment.commit))
    assert world.examine(version="3").release.commit == third.deployment.commit
    assert world.examine(version="2").release.commit == world.new.deployment.commit


def test_an_older_version_asked_for_by_name_is_no_accident(world: World) -> None:
    world.machine.put(Slot.A, made("3", day=3).deployment)
    assert world.examine(version="2").verdict is Verdict.UPDATE


def test_a_version_that_never_was_is_told_with_those_that_are(world: World) -> None:
    with pytest.raises(InputError, match='no version "9"') as caught:
        world.examine(version="9")
    assert "2, 1" in caught.value.hint


def test_a_history_that_the_server_cut_short_is_told(world: World) -> None:
    world.server.fail("ostree", "pull", world.old.deployment.commit, stderr=recorded.NOT_FOUND)
    with pytest.raises(InputError, match="not among the 1"):
        world.examine(version="1")


# Taking it


def test_an_update_stages_the_release_and_follows_with_etc(world: World) -> None:
    upper = world.node.folder / "etc/a/upper"
    upper.mkdir(parents=True)
    (upper / "hostname").write_text("n1")
    taken = world.upgrade.take(world.examine())
    assert (taken.version, taken.slot) == ("2", Slot.B)
    state = world.machine.state
    assert (state.pointer, state.b.state, state.b.tries) == (Slot.B, SlotState.TRYING, 2)
    held = world.node.look().deployments[Slot.B]
    assert held is not None
    assert (held.commit, held.kargs) == (world.new.deployment.commit, ("quiet", "console=ttyS0"))
    written = bytes(world.machine.partitions[Slot.B].content[: world.new.deployment.image_size])
    assert written.startswith(b"".join(world.new.blocks))
    assert (world.node.folder / "etc/b/upper/hostname").read_text() == "n1"
    assert [record.event for record in world.node.records.history()] == [Event.STAGED]


def test_the_configured_tries_are_given(world: World) -> None:
    world.node = replace(world.node, settings=replace(world.node.settings, boot_tries=1))
    world.upgrade.take(world.examine())
    assert world.machine.state.b.tries == 1


def test_the_very_commit_that_was_judged_is_fetched(world: World) -> None:
    offer = world.examine()
    world.server.publish(made("3", day=3))
    taken = world.upgrade.take(offer)
    assert taken.version == "2"
    assert world.server.ran("pull", f"{offer.release.ref}@{world.new.deployment.commit}")


def test_the_running_slot_is_taken_over_before_anything_is_fetched(world: World) -> None:
    world.upgrade.take(world.examine())
    names = [" ".join(line) for line in world.server.lines]
    seed = next(number for number, line in enumerate(names) if "below-mounts" in line)
    pull = next(number for number, line in enumerate(names) if f"@{world.new.deployment.commit}" in line)
    assert seed < pull


def test_what_is_here_already_is_not_taken_over_again(world: World) -> None:
    world.upgrade.take(world.examine())
    world.server.lines.clear()
    world.server.publish(made("3", day=3))
    world.upgrade.take(world.examine())
    assert not world.server.ran("below-mounts")


def test_the_running_kernel_is_taken_over_from_the_boot_partition(world: World) -> None:
    world.upgrade.take(world.examine())
    commits = [" ".join(line) for line in world.server.lines if "commit" in line]
    assert any("boot-files" in line and "seed-boot" in line for line in commits)


def test_a_download_leaves_every_slot_alone_and_makes_the_update_need_nothing_more(world: World) -> None:
    before = world.machine.state
    world.upgrade.download(world.examine())
    assert world.machine.state == before
    assert world.node.records.history() == []
    world.server.lines.clear()
    world.upgrade.take(world.examine())
    assert not world.server.ran("below-mounts")


def test_an_update_goes_on_where_the_server_dropped_the_running_release(world: World) -> None:
    world.server.fail("ostree", "pull", world.old.deployment.commit, stderr=recorded.NOT_FOUND)
    world.upgrade.take(world.examine())
    assert world.machine.state.pointer is Slot.B


def test_afterwards_the_staging_folder_is_empty_and_both_commits_are_kept(world: World) -> None:
    world.upgrade.take(world.examine())
    assert list((world.node.folder / "staging").iterdir()) == []
    assert world.server.ran("refs", "--create=deployed/a", world.old.deployment.commit)
    assert world.server.ran("refs", "--create=deployed/b", world.new.deployment.commit)
    assert world.server.lines[-1][1] == "prune"


def test_a_repository_that_cannot_be_tidied_up_does_not_undo_the_update(world: World) -> None:
    world.server.fail("ostree", "prune", stderr="error: something new")
    assert world.upgrade.take(world.examine()).version == "2"
    assert "could not be tidied up" in world.said.getvalue()


def test_a_running_slot_that_cannot_be_taken_over_is_fetched_instead(world: World) -> None:
    world.server.fail("unshare", "below-mounts", stderr="unshare: unshare failed: Operation not permitted")
    world.upgrade.take(world.examine())
    assert world.machine.state.pointer is Slot.B


def test_a_var_that_fills_while_the_running_slot_is_taken_over_ends_it(world: World) -> None:
    world.server.fail("unshare", "below-mounts", stderr=recorded.DISK_FULL)
    with pytest.raises(SpaceError):
        world.upgrade.take(world.examine())
    assert world.untouched()


def test_leftovers_of_an_interrupted_update_do_not_disturb(world: World) -> None:
    leftover = world.node.folder / "staging/tree/usr"
    leftover.mkdir(parents=True)
    (leftover / "old").touch()
    world.upgrade.take(world.examine())
    assert world.machine.state.pointer is Slot.B


def test_the_releases_own_tools_build_its_image_where_they_differ(world: World) -> None:
    world.server.publish(made("3", day=3, metadata={"nestos.packages": '{"erofs-utils": "1.9"}'}))
    world.upgrade.take(world.examine())
    assert world.server.ran("unshare", "tools-of-tree", "mkfs.erofs")
    assert world.machine.state.pointer is Slot.B


def test_the_running_tools_build_it_where_they_are_the_same(world: World) -> None:
    world.upgrade.take(world.examine())
    assert not world.server.ran("tools-of-tree")


def test_an_image_with_another_root_hash_is_not_written(world: World) -> None:
    wrong = made("3", day=3)
    world.server.publish(replace(wrong, blocks=tuple(reversed(wrong.blocks))))
    with pytest.raises(VerificationError, match="the signed one is"):
        world.upgrade.take(world.examine())
    assert world.untouched()


def test_a_damaged_local_copy_is_mended_and_tried_once_more(world: World) -> None:
    world.server.damaged = True
    world.upgrade.take(world.examine())
    assert world.machine.state.pointer is Slot.B
    assert "the local copy was damaged" in world.said.getvalue()


def test_a_full_var_is_found_before_a_byte_is_fetched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    offer = world.examine()
    real = os.statvfs(world.node.folder)
    small = os.statvfs_result([*real[:4], 10, *real[5:]])
    monkeypatch.setattr(os, "statvfs", lambda _path: small)
    world.server.lines.clear()
    with pytest.raises(SpaceError, match="/var has 0 MB free, the update needs"):
        world.upgrade.take(offer)
    assert world.server.lines == []
    assert world.untouched()


def test_a_full_boot_partition_is_found_before_a_byte_is_fetched(world: World) -> None:
    offer = world.examine()
    world.machine.boot.free = 1000
    offer = replace(offer, view=world.node.look())
    world.server.lines.clear()
    with pytest.raises(SpaceError, match="boot partition"):
        world.upgrade.take(offer)
    assert world.server.lines == []


def test_a_disk_that_fills_during_the_fetch_leaves_the_slots_alone(world: World) -> None:
    offer = world.examine()
    world.server.fail("ostree", "pull", f"{offer.release.ref}@{offer.release.commit}", stderr=recorded.DISK_FULL)
    with pytest.raises(SpaceError):
        world.upgrade.take(offer)
    assert world.untouched()


def test_a_truncated_object_is_named_and_leaves_the_slots_alone(world: World) -> None:
    offer = world.examine()
    what = f"{offer.release.ref}@{offer.release.commit}"
    world.server.answer("--verbose", what, stderr=recorded.VERBOSE_TRUNCATED, returncode=1)
    world.server.fail("pull", what, stderr=recorded.TRUNCATED)
    with pytest.raises(VerificationError, match=f"object {recorded.OBJECT}.file is truncated"):
        world.upgrade.take(offer)
    assert world.untouched()


def test_a_release_on_trial_may_not_overwrite_the_slot_it_came_from(world: World) -> None:
    trying = SlotStatus(state=SlotState.TRYING, tries=1)
    offer = world.examine()
    state = BootState(pointer=Slot.A, booted=Slot.A, a=trying, b=GOOD)
    world.machine.block = type(world.machine.block)(state)
    with pytest.raises(StateError, match="not judged good yet"):
        world.upgrade.take(replace(offer, view=world.node.look()))
    assert world.untouched()


def test_the_plan_of_a_dry_run_changes_nothing(world: World) -> None:
    steps = world.upgrade.plan(world.examine())
    assert steps[-1] == "let slot b boot next, with 2"
    assert world.untouched()


def test_progress_is_told(world: World) -> None:
    world.upgrade.take(world.examine())
    for word in ("fetching 3 objects", "building the slot image", "read back"):
        assert word in world.said.getvalue()


# Another branch

NEXT = "nestos/x86_64/next"


def test_another_branch_is_followed_from_its_newest_release_on(world: World) -> None:
    other = made("3", day=3)
    world.server.publish(other)
    world.server.branches = {REF: world.new.deployment.commit, NEXT: other.deployment.commit}
    offer = world.upgrade.examine(ref=NEXT, options=NOTHING_ALLOWED)
    assert (offer.release.version, offer.release.ref) == ("3", NEXT)
    world.upgrade.take(offer)
    assert world.server.ran("ostree", "pull", f"{NEXT}@{other.deployment.commit}")
    staged = install.read_deployment(world.machine.boot, Slot.B)
    assert staged is not None
    assert staged.ref == NEXT
    assert world.upgrade.followed() == NEXT
    world.machine.reboot()
    install.mark_good(world.machine.block, booted=Slot.B)
    assert world.upgrade.examine(options=NOTHING_ALLOWED).release.ref == NEXT


def test_the_same_commit_on_another_branch_is_written_anew_to_follow_it(world: World) -> None:
    world.server.branches = {NEXT: world.old.deployment.commit}
    offer = world.upgrade.examine(ref=NEXT, options=NOTHING_ALLOWED)
    assert offer.verdict is Verdict.UPDATE
    assert world.upgrade.take(offer).version == "1"
    assert world.upgrade.followed() == NEXT


def test_a_branch_that_the_configuration_would_leave_again_is_refused(world: World) -> None:
    fixed = replace(world.node, settings=Settings(update_url="http://updates.example", update_ref=REF))
    upgrade = Upgrade(fixed, progress=Progress(world.said))
    with pytest.raises(StateError, match="has this node follow"):
        upgrade.examine(ref=NEXT, options=NOTHING_ALLOWED)


def test_an_older_version_by_name_is_refused_where_that_was_said(world: World) -> None:
    world.machine.put(Slot.A, made("3", day=3).deployment)
    with pytest.raises(StateError, match="went back in time"):
        world.examine(version="2", options=Options(forbid_downgrade=True))


# Going back


def test_a_rollback_makes_the_other_good_slot_boot_next(world: World) -> None:
    world.machine.block = type(world.machine.block)(running_a())
    world.machine.put(Slot.B, world.new.deployment)
    assert world.upgrade.rollback_target().slot is Slot.B
    assert world.untouched()
    taken = world.upgrade.rollback()
    assert (taken.slot, taken.version) == (Slot.B, "2")
    assert world.machine.state.pointer is Slot.B
    assert world.upgrade.follows() is Slot.B
    assert [record.event for record in world.node.records.history()] == [Event.ROLLBACK]


def test_a_rollback_gives_up_what_is_staged(world: World) -> None:
    world.upgrade.take(world.examine())
    taken = world.upgrade.rollback()
    assert taken.slot is Slot.A
    assert world.machine.state.b.state is SlotState.EMPTY
    assert world.node.records.history()[-1].event is Event.DROPPED


def test_there_is_no_rollback_to_what_is_not_good(world: World) -> None:
    with pytest.raises(StateError, match="nothing to roll back to"):
        world.upgrade.rollback()
    assert world.untouched()


def test_a_version_that_a_good_slot_holds_is_found_there(world: World) -> None:
    assert world.upgrade.held("1") is Slot.A
    assert world.upgrade.held("2") is None
    world.machine.block = type(world.machine.block)(running_a())
    world.machine.put(Slot.B, world.new.deployment)
    assert world.upgrade.held("2") is Slot.B
