"""Options from every place come together, and what cannot be is refused before anything happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestos.base.errors import InputError
from nestos.installer import options, unattended
from nestos.installer.dropin import Value
from tests.unit.host.scripted import Scripted


def settings(**given: Value) -> options.Settings:
    named = {name.replace("_", "-"): value for name, value in given.items()}
    return options.settings({"dest-device": "/dev/sda", **named}, machine="x86_64")


IMAGE: dict[str, Value] = {"image_file": "metal.raw"}


def test_later_places_win() -> None:
    whole = options.merged([{"stream": "a", "insecure": True}, {"stream": "b", "append-karg": ["x"]}])
    assert whole == {"stream": "b", "insecure": True, "append-karg": ["x"]}


def test_every_option_reaches_the_settings() -> None:
    made = settings(
        image_url="https://e/x", ignition_url="https://e/i", platform="vmware", console=["ttyS0,9600"],
        append_karg=["a"], delete_karg=["b"], copy_network=True, save_partindex=["7"], insecure=True,
        fetch_retries="infinite", firstboot_args="ip=dhcp", keyring=["/k"], preserve_on_error=True,
    )  # fmt: skip
    assert made.device == Path("/dev/sda")
    assert (made.platform, made.consoles, made.append_kargs) == ("vmware", ("ttyS0,9600",), ("a",))
    assert (made.network_dir, made.fetch_retries, made.keyrings) == (options.NETWORK_DIR, None, (Path("/k"),))
    assert made.saved.numbers == ((7, 7),)
    assert made.is_insecure
    assert made.preserves_on_error


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"stream": "s", "image_url": "https://e"}, "exclude each other"),
        ({}, "no image is named"),
        ({**IMAGE, "ignition_file": "f", "ignition_url": "https://e"}, "exclude each other"),
        ({**IMAGE, "ignition_url": "http://e"}, "changed by anyone"),
        ({**IMAGE, "ignition_url": "ftp://e"}, "HTTPS or HTTP"),
        ({**IMAGE, "ignition_hash": "md5-1"}, "sha256"),
        ({**IMAGE, "console": ["serial"]}, "--console=serial"),
        ({**IMAGE, "platform": "VM ware"}, "small letters"),
        ({**IMAGE, "append_karg": [" "]}, "no kernel argument"),
        ({**IMAGE, "fetch_retries": "many"}, "infinite"),
        ({"dest_device": ""}, "no disk"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Value], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        settings(**given)


def test_plain_http_is_fine_with_a_hash() -> None:
    assert settings(**IMAGE, ignition_url="http://e", ignition_hash="sha256-" + "a" * 64).ignition_url == "http://e"


def test_config_files_are_held_to_the_options() -> None:
    assert options.checked({"append-karg": "one", "insecure": True}, source="f") == {
        "append-karg": ["one"],
        "insecure": True,
    }
    with pytest.raises(InputError, match='no option streem \\(did you mean "stream"'):
        options.checked({"streem": "x"}, source="f")
    with pytest.raises(InputError, match="insecure takes true or false"):
        options.checked({"insecure": "yes"}, source="f")


def test_kernel_arguments_of_both_spellings_come_last() -> None:
    line = (
        "quiet coreos.inst.install_dev=vda nestos.inst.ignition_url=http://e/i nestos.inst.insecure"
        " nestos.inst.insecure_ignition nestos.inst.save_partindex=7 ip=10.0.0.2::10.0.0.1 nestos.inst.platform_id=qemu"
    )
    given = unattended.asked(line, [{"dest-device": "/dev/x", "append-karg": ["a"]}])
    assert given == {
        "dest-device": "/dev/vda",
        "append-karg": ["a"],
        "ignition-url": "http://e/i",
        "insecure": True,
        "save-partindex": ["7"],
        "platform": "qemu",
        "insecure-ignition": True,
        "fetch-retries": "10",
        "firstboot-args": "ip=10.0.0.2::10.0.0.1",
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        ("ip=dhcp quiet bond=x", ["ip=dhcp", "bond=x"]),
        ("ip=dhcp nestos.no_persist_ip", []),
        ("ipxe=1 rd.neednet=1", []),
    ],
)
def test_network_arguments_are_carried_to_the_first_boot(line: str, expected: list[str]) -> None:
    assert unattended.forwarded_arguments(line) == expected


@pytest.mark.parametrize(
    ("line", "skips"),
    [
        ("", False),
        ("nestos.inst.skip_reboot", True),
        ("coreos.inst.skip_reboot=1", True),
        ("nestos.inst.skip_reboot=0", False),
    ],
)
def test_the_live_system_stays_up_where_asked(line: str, skips: bool) -> None:
    assert unattended.skips_reboot(line) is skips


def test_nothing_asked_means_nothing_installed() -> None:
    assert unattended.asked("quiet ip=dhcp nestos.inst.skip_reboot", []) == {}


def test_a_live_system_installs_itself_unless_an_image_is_named() -> None:
    given = {"dest-device": "/dev/x"}
    assert options.settings(given, machine="x86_64", is_live=True).is_offline
    assert not options.settings({**given, "image-url": "https://e/i"}, machine="x86_64", is_live=True).is_offline


@pytest.mark.parametrize(
    ("given", "is_live", "sentence"),
    [
        ({}, False, "this is none"),
        ({"image-url": "https://e/i"}, True, "--offline and --image-url exclude"),
        ({"ignition-url": "https://e/i"}, True, "--offline and --ignition-url exclude"),
    ],
    ids=["no live system", "an image", "a config from elsewhere"],
)
def test_offline_is_offline(given: dict[str, Value], is_live: bool, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        options.settings({"dest-device": "/dev/x", "offline": True, **given}, machine="x86_64", is_live=is_live)


def test_programs_around_an_installation_run_in_the_order_of_their_names(tmp_path: Path) -> None:
    runner = Scripted()
    for name, mode in (("20-b", 0o755), ("10-a", 0o755), ("README", 0o644)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    unattended.run_scripts(tmp_path, runner=runner)
    assert [call.line for call in runner.calls] == [[str(tmp_path / "10-a")], [str(tmp_path / "20-b")]]


def test_a_program_that_may_write_a_config_file_asks_for_an_installation(tmp_path: Path) -> None:
    assert not unattended.is_asked("quiet", [tmp_path])
    (tmp_path / "10-choose-the-disk").touch()
    assert unattended.is_asked("quiet", [tmp_path])
    assert unattended.is_asked("nestos.inst.install_dev=sda", [])
