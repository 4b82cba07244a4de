"""Packages on top of a release: laid, kept over an update, given up; and what programs read of it."""

from __future__ import annotations

import json
from typing import Any

from nestos.lab.scenario import Lab, scenario
from tests import debs
from tests.scenarios.node import TEST_REF, UPDATE_SECONDS, Node, first_boot, releases

NEEDS = ["base", "repository", "releases", "keys"]
_SCRIPT = """\
mkdir -p /var/lib/greeter /var/log/greeter
useradd --system --no-create-home greeter
cat /proc/net/dev >/usr/share/greeter/network
"""
_IN_THE_BACKGROUND = "systemd-run --unit=first nestos install greeter"
_UNTIL_IT_HOLDS = "while ! [ -s /run/nestos/transaction.lock ]; do sleep 1; done"


def package_source(lab: Lab) -> tuple[str, str]:
    """A signed source of small packages; its address for guests, and the public key."""
    folder = lab.folder / "packages"
    folder.mkdir()
    debs.deb(folder, "greeter", depends="greeter-data", scripts={"postinst": _SCRIPT})
    debs.deb(folder, "greeter-data", files={"/usr/share/greeter-data/text": "hello\n", "/etc/greeter.conf": "loud\n"})
    debs.deb(folder, "needy", depends="no-such-package")
    debs.index(folder)
    keys = debs.Keys(lab.folder / "gnupg")
    keys.sign(folder)
    text = keys.public.read_text()
    keys.close()
    return lab.server(folder).guest_url, text


def use(node: Node, url: str, key: str) -> None:
    """Makes the source the node's only one."""
    node.write("/etc/apt/keyrings/lab.asc", key)
    node.write(
        "/etc/apt/sources.list.d/lab.sources",
        f"Types: deb\nURIs: {url}\nSuites: ./\nSigned-By: /etc/apt/keyrings/lab.asc\n",
    )


def deployments(node: Node) -> list[dict[str, Any]]:
    """As rpm-ostree tells them."""
    found = json.loads(node.output("rpm-ostree status --json"))["deployments"]
    assert isinstance(found, list)
    return found


@scenario("layers", minutes=15, needs=NEEDS, tags=["long"])
def packages_are_laid_on_every_release(lab: Lab) -> None:
    """A package is installed, survives an update of the base, and goes when told to."""
    url, key = package_source(lab)
    server, known = lab.server(lab.images["repository"]), releases(lab)
    node = first_boot(lab)
    use(node, url, key)
    node.follow(server.guest_url, ref=TEST_REF)
    with lab.step("a package that cannot be had"):
        before = node.status()["slots"]
        refused = node.run("nestos install needy", accepted=(2,), timeout_seconds=UPDATE_SECONDS)
        lab.check("no-such-package" in refused.stderr, f"said: {refused.stderr}")
        lab.check(node.status()["slots"] == before, "a slot was touched")
    with lab.step("install, and a second transaction meanwhile"):
        node.run(f"{_IN_THE_BACKGROUND} && {_UNTIL_IT_HOLDS}")
        second = node.run("nestos rollback", accepted=(1,))
        lab.check("another transaction is running: install" in second.stderr, f"said: {second.stderr}")
        node.run("while systemctl is-active --quiet first; do sleep 2; done", timeout_seconds=UPDATE_SECONDS)
        staged, booted = deployments(node)
        lab.check(staged["staged"] and staged["packages"] == ["greeter"], f"staged: {staged}")
        lab.check(staged["base-checksum"] == booted["checksum"], "the base is another")
    with lab.step("reboot into it"):
        node.reboot()
        check_greeter(lab, node)
        lab.check(node.version() == known["v1"]["version"], f"{node.version()} runs")
    with lab.step("an update keeps it"):
        node.follow(server.guest_url, ref=TEST_REF)
        node.upgrade()
        node.reboot()
        lab.check(node.version() == known["v2"]["version"], f"{node.version()} runs")
        check_greeter(lab, node)
    with lab.step("uninstall gives the signed release"):
        node.run("rpm-ostree uninstall greeter", timeout_seconds=UPDATE_SECONDS)
        status = node.status()
        other = status["slots"]["b" if status["booted"] == "a" else "a"]["deployment"]
        lab.check(other["root_hash"] == known["v2"]["root_hash"], "the slot is not the signed release")


def check_greeter(lab: Lab, node: Node) -> None:
    """What the package and its scripts should have left, and nothing more."""
    lab.check(node.read("/usr/share/greeter-data/text") == "hello\n", "a dependency is not there")
    lab.check(node.read("/etc/greeter.conf") == "loud\n", "the configuration is not there")
    lab.check(node.output("id -u greeter").isdigit(), "the user is not there")
    node.run("test -d /var/lib/greeter && test -d /var/log/greeter")
    interfaces = [line.split(":")[0].strip() for line in node.read("/usr/share/greeter/network").splitlines()[2:]]
    lab.check(interfaces in ([], ["lo"]), f"the script saw the network: {interfaces}")
