"""GRUB's texts. What GRUB makes of them is proven by ``tests/scenarios/grub_choice.py``."""

from __future__ import annotations

import re

import pytest

from nestos.base.errors import InputError
from nestos.host.bootloader import grub, grub_images

HASH = "0123456789abcdef" * 4


def slot(*kargs: str, version: str = "1") -> str:
    return grub.slot_configuration(root_hash=HASH, hash_offset=4096, version=version, kargs=kargs)


def test_slot_configuration_sets_what_the_boot_configuration_reads() -> None:
    assert slot("quiet", "console=ttyS0,115200", version="13.20250101.1") == (
        f"set roothash={HASH}\nset hash_offset=4096\n"
        "set kargs='quiet console=ttyS0,115200'\nset version=13.20250101.1\n"
    )


def test_every_variable_of_a_slot_is_read_by_the_boot_configuration() -> None:
    text = grub.configuration(grub.Settings(platform="qemu"))
    for name in re.findall(r"^set (\w+)=", slot(), re.MULTILINE):
        assert re.search(rf"\${name}\b", text), name


def test_the_boot_configuration_has_no_unfilled_place() -> None:
    text = grub.configuration(grub.Settings(platform="qemu", timeout_seconds=7, serial_speed=9600))
    assert "set timeout=7\n" in text
    assert "--speed=9600" in text
    assert "set platform=qemu\n" in text
    assert "{{" not in text and "}}" not in text
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize(
    "word",
    [
        "root=/dev/mapper/root",
        "rd.neednet=1",
        "ip=dhcp",
        "panic-on-corruption",
        "ignition.firstboot",
        "nestos.slot=$slot",
        "nestos.boot=$boot_uuid",
        "nestos.var=$var_uuid",
        "nestos.passive=$passive",
        "panic=10",
        "ignition.platform.id=$platform",
    ],
)
def test_the_kernel_command_line_holds_what_the_node_needs(word: str) -> None:
    text = grub.configuration(grub.Settings(platform="qemu"))
    expected = word not in {"rd.neednet=1", "ip=dhcp"}  # these come from the stamp, where the network is wanted
    assert (word in text) is expected


def test_the_environment_is_saved_before_a_slot_is_started_and_never_read_unlisted() -> None:
    text = grub.configuration(grub.Settings(platform="qemu"))
    loop = text[text.index("while [") :]
    assert loop.index("save_env a_state a_tries b_state b_tries booted") < loop.index("start")
    assert re.findall(r"load_env.*", text) == ["load_env boot a_state a_tries b_state b_tries booted"]


def test_a_node_with_users_of_grub_boots_without_a_password() -> None:
    text = grub.configuration(grub.Settings(platform="qemu"))
    assert text.index("source /grub/user.cfg") < text.index("menuentry")
    open_entries = [line for line in text.splitlines() if line.startswith("menuentry") and "--unrestricted" in line]
    assert [line.split('"')[1] for line in open_entries] == ["NestOS"]
    assert {"password_pbkdf2", "gcry_sha512"} <= set(grub_images.MODULES)


def test_the_boot_pointer_is_never_saved_by_grub() -> None:
    text = grub.configuration(grub.Settings(platform="qemu"))
    for saved in re.findall(r"save_env(.*)", text):
        assert "boot" not in saved.split()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("quiet", "quiet"),
        ("a b", "'a b'"),
        ("a'b", "'a'\\''b'"),
        ("$x;y", "'$x;y'"),
        ("", "''"),
        ("{}", "'{}'"),
        ("ip=[::1]", "'ip=[::1]'"),
    ],
)
def test_quoting_leaves_nothing_for_grub_to_read(text: str, word: str) -> None:
    assert grub.quoted(text) == word


def test_double_quotes_of_a_kernel_argument_only_group() -> None:
    assert "dyndbg=file a.c +p" in slot('dyndbg="file a.c +p"')
    assert '"' not in slot('dyndbg="file a.c +p"')


@pytest.mark.parametrize("karg", ["", "a\nb", "a\0b"])
def test_what_is_no_kernel_argument_is_refused(karg: str) -> None:
    with pytest.raises(InputError, match="kernel argument"):
        slot(karg)


@pytest.mark.parametrize("root_hash", ["", "abc", HASH.upper(), HASH + "0", HASH + "\n"])
def test_what_is_no_root_hash_is_refused(root_hash: str) -> None:
    with pytest.raises(InputError, match="root hash"):
        grub.slot_configuration(root_hash=root_hash, hash_offset=0, version="1", kargs=())


@pytest.mark.parametrize("platform", ["", "Q", "a b", "a;b", "$x", "qemu\n"])
def test_a_platform_that_is_no_plain_word_is_refused(platform: str) -> None:
    with pytest.raises(InputError, match="platform"):
        grub.configuration(grub.Settings(platform=platform))
