"""What the image ships for provisioning: units of the initramfs and base configs."""

from __future__ import annotations

import configparser
from itertools import pairwise
from pathlib import Path

import pytest

import nestos
from nestos.ignition.engine.disks.survey import PACKAGES
from nestos.ignition.engine.parts import STAGES
from nestos.ignition.engine.settings import parse as parse_command_line
from nestos.ignition.spec.parse import parse

DIST = Path(nestos.__file__).parent / "dist"
MODULE = DIST / "dracut/30ignition"
ROOT_MODULE = DIST / "dracut/35nestos"
IN_ORDER = ["fetch-offline", "fetch", "kargs", "disks", "mount", "files"]


class Unit(configparser.RawConfigParser):
    """A unit file: keys keep their case and may come more than once."""

    def __init__(self, path: Path) -> None:
        super().__init__(strict=False, delimiters=("=",))
        self.text = path.read_text()
        self.read_string(self.text)

    def optionxform(self, optionstr: str) -> str:
        return optionstr

    def all(self, key: str) -> list[str]:
        """All words that ``key`` is given."""
        lines = (line.partition("=") for line in self.text.splitlines())
        return [word for name, _, value in lines if name == key for word in value.split()]


def unit(stage: str) -> Unit:
    return Unit(MODULE / f"ignition-{stage}.service")


@pytest.mark.parametrize("stage", IN_ORDER)
def test_every_stage_has_a_unit_that_calls_the_engine_and_stops_the_boot_if_it_fails(stage: str) -> None:
    words = unit(stage).get("Service", "ExecStart").replace("${PLATFORM_ID}", "qemu").split()

    assert words[0] == "/usr/bin/ignition"
    settings = parse_command_line(words[1:])
    assert (settings.stage, str(settings.root)) == (stage, "/sysroot")
    assert unit(stage).get("Unit", "OnFailure") == "emergency.target"
    assert unit(stage).get("Unit", "OnFailureJobMode") == "isolate"
    assert unit(stage).get("Service", "StandardError") == "journal+console"


def test_unmounting_is_the_end_of_mounting() -> None:
    assert unit("mount").get("Service", "ExecStop").endswith("--stage=umount")
    assert set(STAGES) == {*IN_ORDER, "umount"}


@pytest.mark.parametrize(("first", "second"), list(pairwise(IN_ORDER)))
def test_the_stages_come_in_their_order(first: str, second: str) -> None:
    before = f"ignition-{second}.service" in unit(first).all("Before")
    after = f"ignition-{first}.service" in unit(second).all("After")

    assert before or after


def test_the_files_stage_waits_for_the_writable_root_and_comes_before_its_fstab_is_read() -> None:
    assert "nestos-sysroot.service" in unit("mount").all("After")
    assert "initrd-parse-etc.service" in unit("files").all("Before")


def test_var_gets_its_room_before_anything_is_made_on_it() -> None:
    grow = Unit(ROOT_MODULE / "nestos-grow-var.service")

    assert {"ignition-disks.service", "nestos-sysroot.service"} <= {*grow.all("Before")}
    assert {"ignition-fetch-offline.service", "ignition-fetch.service"} <= {*grow.all("After")}


def test_no_boot_ends_in_a_shell() -> None:
    drop_in = (ROOT_MODULE / "nestos-emergency.conf").read_text()
    starts = [line.partition("=")[2] for line in drop_in.splitlines() if line.startswith("ExecStart=")]

    assert starts == ["", "/usr/bin/systemctl --force reboot"]
    assert "TimeoutStartSec=infinity" in drop_in, "what is told before takes longer than systemd gives a service"
    assert "for unit in emergency dracut-emergency" in (ROOT_MODULE / "module-setup.sh").read_text()


def test_the_initramfs_takes_every_program_that_the_disks_stage_can_call() -> None:
    text = (MODULE / "module-setup.sh").read_text()
    of_other_machines = {"zkey", "zkey-cryptsetup"}

    assert [name for name in sorted({*PACKAGES} - of_other_machines) if f" {name}" not in text] == []


def test_the_network_is_only_for_those_who_need_it() -> None:
    assert unit("fetch").all("ConditionPathExists")[1:] == ["/run/ignition/neednet", "!/run/ignition.json"]


@pytest.mark.parametrize("path", sorted((DIST / "ignition").rglob("*.ign")), ids=lambda path: path.name)
def test_base_configs_are_valid_without_a_warning(path: Path) -> None:
    assert str(parse(path.read_bytes()).report) == ""


def test_the_default_user_may_administer_and_run_containers_and_has_no_password() -> None:
    config = parse((DIST / "ignition/base.d/10-default-user.ign").read_bytes()).config

    assert config is not None
    [user] = config["passwd"]["users"]
    assert (user["name"], user["groups"]) == ("nest", ["adm", "sudo", "systemd-journal", "docker"])
    assert "passwordHash" not in user


def test_names_are_resolved_as_soon_as_and_whenever_the_network_comes() -> None:
    service = Unit(DIST / "dracut/35nestos/nestos-initrd-network.service")

    assert service.get("Service", "Type") == "exec"  # it goes on while configs are fetched
    assert "/run/nestos-resolv.conf" in service.text
    assert service.all("ExecStartPost")[0].startswith("-")  # no network in time is no reason to give up
