"""Platforms whose config is on a drive, and those where it may be there or elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nestos.ignition.engine.acquire import empty
from tests.unit.ignition.engine.bench import Bench, FakeClock
from tests.unit.ignition.engine.cloud import Cloud, Page
from tests.unit.ignition.engine.providers.drives import attach, use_drives
from tests.unit.ignition.engine.providers.test_metadata import CONFIG, SERVICES, files

OPENSTACK = "openstack/latest/user_data"
CLOUDSTACK = "cloudstack/userdata/user_data.txt"

DRIVES = [
    ("ibmcloud", "cidata", "user-data"),
    ("kubevirt", "cidata", "user-data"),
    ("kubevirt", "config-2", OPENSTACK),
    ("nutanix", "config-2", OPENSTACK),
    ("powervs", "config-2", OPENSTACK),
    ("proxmoxve", "cidata", "user-data"),
    ("proxmoxve", "cidata", "vendor-data"),
]
OR_NETWORK = [
    ("brightbox", "CONFIG-2", OPENSTACK),
    ("cloudstack", "config-2", CLOUDSTACK),
    ("cloudstack", "CONFIG-2", CLOUDSTACK),
    ("openstack", "config-2", OPENSTACK),
    ("openstack", "CONFIG-2", OPENSTACK),
]


class LateClock(FakeClock):
    """Attaches a drive at a moment."""

    def __init__(self, machine: Bench, label: str, file: str, *, at_seconds: float) -> None:
        super().__init__()
        self._attach: Callable[[], object] = lambda: attach(machine, label, {file: CONFIG})
        self.then: Callable[[], object] = lambda: None
        self._at = at_seconds
        self._done = False

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.monotonic() >= self._at and not self._done:
            self._done = True
            self._attach()
            self.then()


@pytest.mark.parametrize(("platform", "label", "file"), DRIVES)
def test_the_config_is_read_from_the_drive_without_a_network(
    platform: str, label: str, file: str, machine: Bench
) -> None:
    tools = use_drives(machine)
    attach(machine, label, {file: CONFIG})

    assert machine.stage("fetch-offline", platform=platform) == 0, machine.said

    assert files(machine) == ["/a"]
    mount, umount = tools.commands
    assert mount[:6] == ["mount", "-o", "ro", "-t", "auto", f"/dev/disk/by-label/{label}"]
    assert umount == ["umount", mount[-1]]
    assert list((machine.folder / "top/run/ignition-drives").iterdir()) == []


@pytest.mark.parametrize(("platform", "label", "file"), OR_NETWORK)
def test_the_config_may_be_on_a_drive_though_there_is_no_service(
    platform: str, label: str, file: str, machine: Bench
) -> None:
    use_drives(machine)
    machine.network = cloud = Cloud(machine.clock)
    cloud.silent = {"169.254.169.254"}
    attach(machine, label, {file: CONFIG})

    assert machine.stage("fetch", platform=platform) == 0, machine.said
    assert files(machine) == ["/a"]


@pytest.mark.parametrize(("platform", "label", "file"), [*DRIVES, *OR_NETWORK])
def test_a_drive_that_appears_late_is_waited_for(platform: str, label: str, file: str, machine: Bench) -> None:
    use_drives(machine)
    machine.clock = LateClock(machine, label, file, at_seconds=25)
    machine.network = cloud = Cloud(machine.clock)
    cloud.silent = {"169.254.169.254"}

    assert machine.stage("fetch", platform=platform) == 0, machine.said

    assert files(machine) == ["/a"]
    assert "waiting for config drive" in machine.said


@pytest.mark.parametrize("platform", ["ibmcloud", "proxmoxve"])
def test_some_platforms_go_on_without_a_config_after_half_a_minute(platform: str, machine: Bench) -> None:
    use_drives(machine)

    assert machine.stage("fetch-offline", platform=platform) == 0

    assert machine.clock.monotonic() == 30
    assert machine.cached() == empty()
    assert "cidata drive was not available in time" in machine.said


@pytest.mark.parametrize(("platform", "label", "file"), [*DRIVES, *OR_NETWORK])
def test_a_drive_without_the_file_says_that_there_is_no_config(
    platform: str, label: str, file: str, machine: Bench
) -> None:
    use_drives(machine)
    machine.network = Cloud(machine.clock)
    attach(machine, label, {"other": "x"})

    assert machine.stage("fetch", platform=platform) == 0, machine.said
    assert machine.cached() == empty()


@pytest.mark.parametrize(("platform", "code"), [("powervs", 1), ("nutanix", 1), ("ibmcloud", 0), ("proxmoxve", 0)])
def test_a_drive_that_cannot_be_mounted_is_an_error_where_it_is_the_only_place(
    platform: str, code: int, machine: Bench
) -> None:
    use_drives(machine).failing = {"mount"}
    for label in ("cidata", "config-2"):
        attach(machine, label, {"user-data": CONFIG})

    assert machine.stage("fetch-offline", platform=platform) == code
    assert "failed to mount device" in machine.said


def test_of_two_drives_one_may_be_broken(machine: Bench) -> None:
    tools = use_drives(machine)
    tools.failing = {"mount"}
    attach(machine, "cidata", {"user-data": CONFIG})
    machine.clock = clock = LateClock(machine, "config-2", OPENSTACK, at_seconds=3)
    clock.then = tools.failing.clear

    assert machine.stage("fetch-offline", platform="kubevirt") == 0

    assert files(machine) == ["/a"]
    assert "failed to fetch config from config drive (cidata)" in machine.said


@pytest.mark.parametrize("user_data", ["#cloud-config\nusers: []\n", ""])
def test_proxmoxs_user_data_may_be_somebody_elses(user_data: str, machine: Bench) -> None:
    use_drives(machine)
    attach(machine, "cidata", {"user-data": user_data, "vendor-data": CONFIG})

    assert machine.stage("fetch-offline", platform="proxmoxve") == 0
    assert files(machine) == ["/a"]


def test_openstack_is_also_asked_on_every_link_that_has_ipv6(machine: Bench) -> None:
    use_drives(machine)
    machine.network = cloud = Cloud(machine.clock, {"http://[fe80::a9fe:a9fe]/openstack/latest/user_data": CONFIG})
    cloud.silent = {"169.254.169.254", "fe80::a9fe:a9fe%ens2"}
    addresses = machine.folder / "top/proc/net/if_inet6"
    addresses.parent.mkdir(parents=True)
    line = "fe80000000000000505400fffe123456 {} 40 20 80     {}\n"
    addresses.write_text(line.format("01", "lo") + line.format("02", "ens2") + line.format("03", "ens3"))

    assert machine.stage("fetch", platform="openstack") == 0, machine.said

    assert files(machine) == ["/a"]
    assert cloud.asked[0].host == "fe80::a9fe:a9fe%ens3:80"


def test_openstacks_service_that_refuses_leaves_the_drives(machine: Bench) -> None:
    use_drives(machine)
    machine.clock = LateClock(machine, "config-2", OPENSTACK, at_seconds=5)
    machine.network = Cloud(machine.clock, {SERVICES["openstack"][0]: Page(status=403)})

    assert machine.stage("fetch", platform="openstack") == 0

    assert files(machine) == ["/a"]
    assert "failed to fetch config from metadata service" in machine.said


def test_cloudstacks_service_is_the_dhcp_server(machine: Bench) -> None:
    use_drives(machine)
    machine.network = cloud = Cloud(machine.clock, {"http://10.0.0.2/latest/user-data": CONFIG})
    leases = machine.folder / "top/run/systemd/netif/leases"
    leases.mkdir(parents=True)
    (leases / "2").write_text("# private\nADDRESS=10.0.0.9\nSERVER_ADDRESS=10.0.0.2\nROUTER=10.0.0.1\n")
    (leases / "10").write_text("SERVER_ADDRESS=10.0.0.3\n")

    assert machine.stage("fetch", platform="cloudstack") == 0, machine.said

    assert files(machine) == ["/a"]
    assert cloud.asked[0].host == "10.0.0.2:80"


def test_no_file_of_the_drive_leads_out_of_it(machine: Bench) -> None:
    use_drives(machine)
    (machine.folder / "secret").write_text(CONFIG)
    attach(machine, "cidata", {})
    (machine.folder / "drives/cidata/user-data").symlink_to(machine.folder / "secret")

    assert machine.stage("fetch-offline", platform="ibmcloud") == 0
    assert machine.cached() == empty()


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("ignition.config.device=CONF ignition.config.path=/dir/config.ign", 0, ""),
        ("ignition.config.device=CONF ignition.config.path=dir/config.ign", 0, ""),
        ("ignition.config.device=CONF", 1, "must be provided together"),
        ("ignition.config.path=/dir/config.ign", 1, "must be provided together"),
        ("ignition.config.device=../CONF ignition.config.path=/x", 1, 'invalid device label "../CONF"'),
        ("ignition.config.device=CONF ignition.config.path=/no", 1, 'config file "/no" not found on device "CONF"'),
        ("ignition.config.device=NO ignition.config.path=/x", 1, 'device "NO" did not appear within timeout'),
        ("ignition.config.device=NO ignition.config.url=data:,", 0, "takes precedence"),
    ],
)
def test_the_kernel_command_line_may_name_a_device_and_a_file(words: str, code: int, text: str, machine: Bench) -> None:
    use_drives(machine)
    attach(machine, "CONF", {"dir/config.ign": CONFIG})
    (machine.folder / "cmdline").write_text(f"quiet {words}\n")

    assert machine.stage("fetch-offline", platform="metal") == code, machine.said

    assert text in machine.said
    if not text:
        assert files(machine) == ["/a"]
        assert machine.job().read_state()["fetchedConfigs"][1]["source"] == "cmdline"


@pytest.mark.parametrize("url", ["file:///{}", "file://localhost/{}", "file:/{}"])
def test_the_kernel_command_line_may_name_a_file_of_the_initramfs(url: str, machine: Bench) -> None:
    (machine.folder / "top").mkdir()
    (machine.folder / "top/my config.ign").write_text(CONFIG)
    (machine.folder / "cmdline").write_text(f"ignition.config.url={url.format('my%20config.ign')}\n")

    assert machine.stage("fetch-offline", platform="metal") == 0, machine.said
    assert files(machine) == ["/a"]


def test_a_config_must_not_name_a_file_of_the_initramfs(machine: Bench) -> None:
    machine.give({"ignition": {"version": "3.3.0", "config": {"merge": [{"source": "file:///etc/passwd"}]}}})

    assert machine.stage("fetch-offline") == 1
    assert "invalid url scheme" in machine.said
