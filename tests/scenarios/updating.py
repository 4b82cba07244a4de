"""Updates: taken, kept, given back; and every way a release can fail ends on the good one, without a person."""

from __future__ import annotations

from typing import Any

from nestos.lab.scenario import Lab, scenario
from nestos.lab.webserver import Fault, FaultKind, WebServer
from tests.scenarios import forgery
from tests.scenarios.node import TEST_REF, Node, first_boot, releases
from tests.scenarios.prepared import resume

NEEDS = ["base", "repository", "releases", "keys"]
AARCH64_NEEDS = ["aarch64-base", "aarch64-repository", "aarch64-releases", "keys"]
RPM_NEEDS = ["rpm-base", "rpm-repository", "rpm-releases", "keys"]
READY = ["ready", "repository", "releases", "bad-releases", "keys"]
_FALLBACK_SECONDS = 1500.0


def slot(status: dict[str, Any], which: str) -> dict[str, Any]:
    """The status of the ``booted`` slot, or of the ``other`` one."""
    booted = status["booted"]
    found = status["slots"][booted if which == "booted" else {"a": "b", "b": "a"}[booted]]
    assert isinstance(found, dict)
    return found


def resumed(lab: Lab) -> tuple[Node, WebServer, dict[str, dict[str, Any]]]:
    """As ``begin``, but resumed from the saved machine: for what happens in an update, not before it."""
    server = lab.server(lab.images["repository"])
    with lab.step("resume"):
        node = resume(lab)
    return node, server, releases(lab)


def begin(lab: Lab, *, world: str = "") -> tuple[Node, WebServer, dict[str, dict[str, Any]]]:
    """A healthy node on the first test release, the server of all of them, and what is known of each.

    ``world`` is empty for Debian packages, ``rpm-`` for RPM packages, ``aarch64-`` for Debian packages of that
    architecture: the beginning of the images' names.
    """
    server = lab.server(lab.images[f"{world}repository"])
    return first_boot(lab, image=f"{world}base"), server, releases(lab, world=world)


@scenario("update-rollback", minutes=10, needs=NEEDS)
def updates_and_goes_back(lab: Lab) -> None:
    """A node takes an update, keeps /etc and /var, marks it good, and goes back when told to."""
    goes_and_comes_back(lab, world="")


@scenario("rpm-update-rollback", minutes=10, needs=RPM_NEEDS, tags=["long"])
def updates_and_goes_back_with_rpm(lab: Lab) -> None:
    """A node of RPM packages takes an update, keeps /etc and /var, marks it good, and goes back when told to."""
    goes_and_comes_back(lab, world="rpm-")


@scenario("aarch64", minutes=20, needs=AARCH64_NEEDS, tags=["long"])
def updates_and_goes_back_on_aarch64(lab: Lab) -> None:
    """A node of aarch64 boots by UEFI, takes an update, keeps /etc and /var, and goes back when told to."""
    goes_and_comes_back(lab, world="aarch64-")


def goes_and_comes_back(lab: Lab, *, world: str) -> None:
    """What each world has to do; ``world`` as in ``begin``."""
    node, server, known = begin(lab, world=world)
    ref = known["v2"]["ref"]
    with lab.step("what there is"):
        node.write("/etc/scenario/edited", "before\n")
        node.write("/var/lib/scenario/data", "kept\n")
        node.follow(server.guest_url, ref=ref)
        lab.check(node.upgrade("--check").returncode == 0, "no update is offered")
    with lab.step("update"):
        server.forget_traffic()
        node.upgrade()
        lab.facts["bytes_fetched"] = server.traffic().total_bytes
        status = node.status()
        lab.check(slot(status, "other")["state"] == "trying", "the new slot is not on trial")
        lab.check(slot(status, "other")["next"], "the new slot does not boot next")
    with lab.step("reboot"):
        node.reboot()
        status = node.status()
        lab.check(status["booted"] == "b", f"slot {status['booted']} runs")
        lab.check(node.version() == known["v2"]["version"], f"{node.version()} runs")
        lab.check(node.read("/usr/share/nestos/release-file") == "two\n", "the release's file is another's")
        lab.check(node.read("/etc/scenario/edited") == "before\n", "/etc was lost")
        lab.check(node.read("/var/lib/scenario/data") == "kept\n", "/var was lost")
        node.follow(server.guest_url, ref=ref)
        lab.check(node.upgrade(accepted=(77,)).returncode == 77, "the newest version was taken again")
    with lab.step("a repository that went back in time"):
        server.documents.update(forgery.old_summary(lab, known["v1"], world=world))
        refused = node.upgrade(accepted=(1,))
        lab.check(known["v1"]["version"] in refused.stderr, f"the refusal does not name the version: {refused.stderr}")
        lab.check("--allow-downgrade" in refused.stderr, f"the refusal does not say the way out: {refused.stderr}")
        server.documents.clear()
    with lab.step("rollback"):
        node.write("/etc/scenario/edited", "after\n")
        node.run("nestos rollback")
        node.reboot()
        lab.check(node.version() == known["v1"]["version"], f"{node.version()} runs after the rollback")
        lab.check(node.read("/etc/scenario/edited") == "before\n", "/etc did not go back with its slot")
        lab.check(node.read("/var/lib/scenario/data") == "kept\n", "/var was rolled back")
        lab.check(node.status()["denied"] == [], "a rollback denied a release")
    with lab.step("forward to a version by name"):
        node.follow(server.guest_url, ref=ref)
        node.run(f"nestos deploy {known['v2']['version']}", timeout_seconds=_FALLBACK_SECONDS)
        node.reboot()
        lab.check(node.version() == known["v2"]["version"], f"{node.version()} runs")
        lab.check(node.read("/etc/scenario/edited") == "after\n", "/etc of the newer slot was lost")


def falls_back(lab: Lab, release: str, *, reason: str, tries: int = 1) -> None:
    """Takes a release that fails and checks that the node is back on the good one, knows it, and refuses it.

    One try, where the number does not matter, saves a boot.
    """
    node, server, known = resumed(lab)
    good, bad = known["v1"]["version"], known[release]["version"]
    with lab.step(f"update to the release {release}"):
        node.write("/etc/scenario/edited", "mine\n")
        node.follow(server.guest_url, ref=known[release]["ref"], tries=tries)
        node.upgrade()
        before = node.boot_id()
        node.run("systemctl reboot", accepted=(0, 255))
    with lab.step("back by itself"):
        status = node.wait_back_on(good, unlike=before, timeout_seconds=_FALLBACK_SECONDS)
        lab.check(slot(status, "other")["state"] == "bad", f"the failed slot is {slot(status, 'other')['state']}")
        denied = {item["version"]: item["reason"] for item in status["denied"]}
        lab.check(bad in denied, f"{bad} is not among the denied: {denied}")
        lab.facts["reason"] = denied[bad]
        lab.check(reason in denied[bad], f"the reason is {denied[bad]!r}, expected {reason!r} in it")
        lab.check(denied[bad] in node.output("nestos status"), "the status for people does not tell the reason")
        lab.check(node.read("/etc/scenario/edited") == "mine\n", "/etc was lost")
    with lab.step("not again"):
        node.follow(server.guest_url, ref=known[release]["ref"])
        again = node.upgrade(accepted=(0, 1, 77))
        lab.check(again.returncode != 0, "the denied release was taken again")
        lab.check(bad in again.stdout + again.stderr, f"the refusal does not name {bad}: {again.stderr}")


@scenario("release-panics", minutes=8, needs=READY)
def panics(lab: Lab) -> None:
    """A release whose kernel panics: back on the good one, the bad one denied."""
    falls_back(lab, "panic", reason="boot-complete", tries=2)


@scenario("release-hangs", minutes=8, needs=READY)
def hangs(lab: Lab) -> None:
    """A release whose process 1 hangs, then crashes: reset each time, and the node is back on the good one."""
    falls_back(lab, "hang", reason="boot-complete", tries=2)


@scenario("release-unhealthy", minutes=8, needs=READY)
def is_unhealthy(lab: Lab) -> None:
    """A release that fails its health check: back on the good one, with the check's own words as reason."""
    falls_back(lab, "unhealthy", reason="the database does not answer")


@scenario("release-stuck", minutes=12, needs=READY, tags=["long"])
def gets_stuck(lab: Lab) -> None:
    """A release that never reaches boot-complete: its deadline ends it, and the node is back on the good one."""
    falls_back(lab, "stuck", reason="boot-complete")


@scenario("bad-repository", minutes=8, needs=READY)
def a_bad_repository_changes_nothing(lab: Lab) -> None:
    """A repository that is down, damaged or unsigned: a clear error, an untouched system."""
    node, server, known = resumed(lab)
    before = node.status()
    commit = known["v2"]["commit"]
    header = f"/objects/{commit[:2]}/{commit[2:]}.commit"
    cases: list[tuple[str, list[Fault], str]] = [
        ("answers 503", [Fault(kind=FaultKind.STATUS, status=503)], "503"),
        ("lost its signatures", [Fault(kind=FaultKind.STATUS, path=f"{header}meta", status=404)], "sign"),
        ("has a truncated commit", [Fault(kind=FaultKind.TRUNCATE, path=header, after_bytes=64)], commit[:8]),
        ("has truncated objects", [Fault(kind=FaultKind.TRUNCATE, path="*.filez", after_bytes=20)], ""),
        ("breaks off", [Fault(kind=FaultKind.BREAK_OFF, path="*.filez", after_bytes=20)], ""),
    ]
    for what, faults, words in cases:
        with lab.step(f"a repository that {what}"):
            server.heal()
            for fault in faults:
                server.inject(fault)
            node.follow(server.guest_url, ref=TEST_REF)
            done = node.upgrade(accepted=tuple(range(256)))
            said = done.stdout + done.stderr
            lab.check(done.returncode == 1, f"exit status {done.returncode}: {said}")
            lab.check(words in said, f"the error does not say {words!r}: {said}")
            lab.check("Traceback" not in said, f"a traceback: {said}")
            after = node.status()
            lab.check(after["slots"] == before["slots"] and after["next"] == before["next"], "a slot was touched")
    forgeries = {
        "commit": (forgery.strangers_commit(lab, commit), commit[:8]),
        "summary": (forgery.strangers_summary(lab, commit), "summary"),
    }
    server.heal()
    for what, (documents, words) in forgeries.items():
        with lab.step(f"a {what} that a stranger signed"):
            server.documents.update(documents)
            done = node.upgrade(accepted=tuple(range(256)))
            said = done.stdout + done.stderr
            lab.check(done.returncode == 1, f"exit status {done.returncode}: {said}")
            lab.check(words in said and "sign" in said, f"the error does not name {words} and its signature: {said}")
            lab.check(node.status()["slots"] == before["slots"], "a slot was touched")
            server.documents.clear()
    with lab.step("the same repository, healed"):
        node.upgrade()
        lab.check(slot(node.status(), "other")["state"] == "trying", "the update was not taken")


@scenario("disk-full", minutes=5, needs=READY, tags=["long"])
def a_full_disk_is_told_before_anything_is_fetched(lab: Lab) -> None:
    """An update that finds no room in /var says how much it needs, and fetches nothing."""
    node, server, _ = resumed(lab)
    node.run("fallocate -l $(($(stat -f -c '%a*%S' /var) - 100000000)) /var/fill")
    node.follow(server.guest_url, ref=TEST_REF)
    server.forget_traffic()
    done = node.upgrade(accepted=(1,))
    lab.check("MB" in done.stderr + done.stdout and "/var" in done.stderr + done.stdout, f"said: {done.stderr}")
    objects = [path for path in server.traffic().requests if path.endswith(".filez")]
    lab.check(objects == [], f"{len(objects)} objects were fetched")
    lab.check(slot(node.status(), "other")["state"] == "empty", "the other slot was touched")
    node.run("rm /var/fill")
    node.upgrade()
