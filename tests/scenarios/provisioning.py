"""The first boot: what a config asks for is there, once; a config that is wrong stops the boot."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote

from nestos.lab import container_image
from nestos.lab.scenario import Lab, scenario
from nestos.lab.spec import Firmware
from tests.scenarios.node import BOOT_SECONDS, FRESH, LOGIN, Node, first_boot, spec

IMAGE_TAR = "/var/lib/images/busybox.tar"


def config(*, files: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """An Ignition config with files of the given contents."""
    entries = [
        {"path": path, "mode": 0o644, "overwrite": True, "contents": {"source": f"data:,{quote(text)}"}}
        for path, text in (files or {}).items()
    ]
    return {"ignition": {"version": "3.4.0"}, "storage": {"files": entries}, **more}


CONTAINER_HOST = config(
    files={"/etc/hostname": "first\n", "/etc/scenario/hello": "from the config\n"},
    passwd={"users": [{"name": "ada", "uid": 1500, "groups": ["sudo"]}], "groups": [{"name": "crew", "gid": 1600}]},
    systemd={
        "units": [
            {
                "name": "once.service",
                "enabled": True,
                "contents": "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo ran >>/var/lib/once'\n"
                "[Install]\nWantedBy=multi-user.target\n",
            },
            {
                "name": "systemd-timesyncd.service",
                "dropins": [{"name": "x.conf", "contents": "[Unit]\n# dropped in\n"}],
            },
        ]
    },
)


@scenario("first-boot", minutes=7, needs=["container"])
def boots_provisions_and_runs_containers(lab: Lab) -> None:
    """An image provisions itself on first boot and runs containers with podman and docker."""
    node = provisioned(lab, image="container")
    tar = container_image.archive(lab.equipment.tools.root / "usr/bin/busybox")
    node.run("mkdir -p /var/lib/images")
    node.machine.ssh(f"sudo -n sh -c 'cat >{IMAGE_TAR}'", stdin=tar)
    for engine in ("podman", "docker"):
        with lab.step(f"a container with {engine}"):
            check_engine(lab, node, engine=engine)
    with lab.step("second boot"):
        check_second_boot(lab, node)


@scenario("rpm-first-boot", minutes=5, needs=["rpm-base"], tags=["long"])
def boots_and_provisions_with_rpm(lab: Lab) -> None:
    """An image of RPM packages provisions itself on first boot; its package database is rpm's."""
    node = provisioned(lab, image="rpm-base")
    with lab.step("rpm's database is the release's"):
        size = int(node.output("stat --format=%s /usr/lib/sysimage/rpm/rpmdb.sqlite"))
        lab.check(size > 1 << 20, f"the database has {size} bytes")
        lab.check(node.output("readlink -f /var/lib/rpm") == "/usr/lib/sysimage/rpm", "/var/lib/rpm leads elsewhere")
    with lab.step("second boot"):
        check_second_boot(lab, node)


def provisioned(lab: Lab, *, image: str) -> Node:
    """A node of ``image`` after its first boot with ``CONTAINER_HOST``, all of which was checked."""
    node = first_boot(lab, image=image, config=CONTAINER_HOST)
    with lab.step("what the config asked for"):
        check_provisioned(lab, node)
    with lab.step("the system is immutable"):
        check_immutable(lab, node)
    return node


def check_second_boot(lab: Lab, node: Node) -> None:
    """Restarts: nothing is provisioned again, and what was stays."""
    node.reboot()
    lab.check(node.read("/var/lib/once") == "ran\nran\n", "the unit did not run once per boot")
    lab.check(node.read("/etc/scenario/hello") == "from the config\n", "/etc is not what it was")
    lab.check("ignition.firstboot" not in node.read("/proc/cmdline"), "the second boot calls itself the first")


def check_provisioned(lab: Lab, node: Node) -> None:
    """Everything in ``CONTAINER_HOST``."""
    lab.check(node.output("hostnamectl hostname") == "first", "the host name was not set")
    lab.check(node.read("/etc/scenario/hello") == "from the config\n", "the file was not written")
    lab.check(node.output("id -u ada") == "1500", "the user was not made")
    lab.check("sudo" in node.output("id -nG ada").split(), "the user is not in its group")
    lab.check(node.output("getent group crew").split(":")[2] == "1600", "the group was not made")
    lab.check(node.read("/var/lib/once") == "ran\n", "the unit was not enabled")
    lab.check("dropped in" in node.output("systemctl cat systemd-timesyncd"), "the drop-in is not there")
    lab.check(node.failed_units() == [], f"failed units: {node.failed_units()}")


def check_immutable(lab: Lab, node: Node) -> None:
    """A verified root that cannot be written."""
    root, kind, options = node.output("findmnt -n -o SOURCE,FSTYPE,OPTIONS /").split()
    lab.check(kind == "erofs" and root.startswith("/dev/mapper/"), f"the root is {kind} on {root}")
    lab.check("ro" in options.split(","), f"the root is mounted {options}")
    lab.check("verity" in node.output("dmsetup table root || cat /sys/block/dm-0/dm/uuid").lower(), "no dm-verity")
    lab.check(node.run("touch /usr/x", accepted=(1,)).returncode == 1, "/usr can be written")
    lab.check(node.output("findmnt -n -o FSTYPE /etc") == "overlay", "/etc is no overlay")


def check_engine(lab: Lab, node: Node, *, engine: str) -> None:
    """Loads the image and runs a container that says something."""
    node.run(f"{engine} load --input={IMAGE_TAR}", timeout_seconds=300)
    said = node.output(f"{engine} run --rm localhost/busybox:latest echo hello from {engine}", timeout_seconds=300)
    lab.check(said.endswith(f"hello from {engine}"), f"the container said {said!r}")


@scenario("first-boot-uefi", minutes=3, needs=["base"])
def boots_from_uefi(lab: Lab) -> None:
    """The same image boots from UEFI."""
    machine = lab.machine(spec("node", lab.disk("base", name="node"), firmware=Firmware.UEFI), config=FRESH)
    node = Node(lab, machine)
    with lab.step("first boot"):
        node.start()
        node.wait_healthy()
    lab.check(node.output("test -d /sys/firmware/efi && echo yes") == "yes", "the firmware was not UEFI")


@scenario("var-grows", minutes=3, needs=["base"])
def var_fills_a_larger_disk(lab: Lab) -> None:
    """On a disk larger than the image, /var grows to its end on first boot."""
    disk = lab.disk("base", name="node", size="12G")
    node = Node(lab, lab.machine(spec("node", disk), config=FRESH))
    with lab.step("first boot"):
        node.start()
        node.wait_healthy()
    size = int(node.output("findmnt -bno SIZE /var"))
    lab.check(size > 8 * 2**30, f"/var has {size} bytes on a disk of 12 GiB")


@scenario("bad-config", minutes=2, needs=["base"])
def a_bad_config_stops_the_boot(lab: Lab) -> None:
    """A config that is wrong stops the first boot, with the key at fault on the console."""
    wrong = json.dumps({"ignition": {"version": "3.4.0"}, "storage": {"files": [{"path": "not/absolute"}]}})
    machine = lab.machine(spec("node", lab.disk("base", name="node")), config=wrong)
    with lab.step("first boot"):
        machine.start()
        machine.wait_for_console(r"storage\.files\.0\.path", timeout_seconds=BOOT_SECONDS, failing=LOGIN)
    with lab.step("it stays there"):
        since = machine.console.mark()
        lab.sleep(60)
        later = machine.console.text(since=since)
        lab.check("login:" not in later, "the boot went on to a login")


@scenario("config-by-url", minutes=3, needs=["base"])
def a_config_comes_by_url(lab: Lab) -> None:
    """A config replaced by one from a web server, verified by its hash, which merges another one."""
    server = lab.server(lab.folder)
    merged = json.dumps(config(files={"/etc/scenario/merged": "merged\n"})).encode()
    server.documents["/merged.ign"] = merged
    replacing = config(files={"/etc/scenario/replaced": "replaced\n"})
    replacing["ignition"]["config"] = {"merge": [{"source": f"{server.guest_url}/merged.ign"}]}
    replacing["passwd"] = {"users": [{"name": "nest", "sshAuthorizedKeys": [lab.equipment.identity.public]}]}
    document = json.dumps(replacing).encode()
    server.documents["/node.ign"] = document
    first = {
        "ignition": {
            "version": "3.4.0",
            "config": {
                "replace": {
                    "source": f"{server.guest_url}/node.ign",
                    "verification": {"hash": f"sha512-{hashlib.sha512(document).hexdigest()}"},
                }
            },
        }
    }
    node = Node(lab, lab.machine(spec("node", lab.disk("base", name="node")), config=json.dumps(first)))
    with lab.step("first boot"):
        node.start()
    lab.check(node.read("/etc/scenario/replaced") == "replaced\n", "the replacing config was not applied")
    lab.check(node.read("/etc/scenario/merged") == "merged\n", "the merged config was not applied")
    requests = server.traffic().requests
    lab.check(set(requests) == {"/node.ign", "/merged.ign"}, f"asked for {dict(requests)}")
