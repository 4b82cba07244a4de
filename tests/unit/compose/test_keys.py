from __future__ import annotations

from pathlib import Path

import pytest

from nestos.base.errors import InputError
from nestos.compose import keys
from tests.unit.host.scripted import Call, Scripted

FINGERPRINT = "DD3973E7173BB57CDE39658E75E1135D2C88B964"
LISTING = f"""\
sec:u:255:22:75E1135D2C88B964:1700000000:::u:::scESC:::+::ed25519:::0:
fpr:::::::::{FINGERPRINT}:
uid:u::::1700000000::HASH::NestOS local build::::::::::0:
ssb:u:255:18:AAAA:1700000000::::::e:::+::cv25519::
fpr:::::::::0000000000000000000000000000000000000000:
"""


class Gpg(Scripted):
    """A keyring; exporting writes the file."""

    def __init__(self, *, listing: str = "") -> None:
        super().__init__()
        self.on("--list-secret-keys", stdout=listing)
        self.on("--export", does=self._export)
        self.on("--quick-generate-key", does=lambda call: self.on("--list-secret-keys", stdout=LISTING))

    def _export(self, call: Call) -> None:
        (output,) = (word.partition("=")[2] for word in call.line if word.startswith("--output="))
        Path(output).write_bytes(b"public")


def test_the_first_key_of_the_home_is_taken_by_its_primary_fingerprint(tmp_path: Path) -> None:
    gpg = Gpg(listing=LISTING)
    key = keys.ensure(tmp_path / "keys", runner=gpg)
    assert (key.fingerprint, key.home) == (FINGERPRINT, tmp_path / "keys")
    assert key.public == tmp_path / f"keys/{FINGERPRINT}.gpg"
    assert key.public.read_bytes() == b"public"
    assert not [line for line in gpg.lines if "--quick-generate-key" in line]


def test_the_home_is_for_its_owner_only(tmp_path: Path) -> None:
    keys.ensure(tmp_path / "keys", runner=Gpg(listing=LISTING))
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


def test_a_key_is_made_on_first_use(tmp_path: Path) -> None:
    gpg = Gpg()
    assert keys.ensure(tmp_path, runner=gpg).fingerprint == FINGERPRINT
    assert gpg.called("--quick-generate-key").line[-3:] == ["ed25519", "sign", "never"]


def test_the_public_half_is_exported_once_and_never_half(tmp_path: Path) -> None:
    gpg = Gpg(listing=LISTING)
    keys.ensure(tmp_path, runner=gpg)
    keys.ensure(tmp_path, runner=gpg)
    assert f"--output={tmp_path / FINGERPRINT}.part" in gpg.called("--export").line
    assert [path.name for path in tmp_path.iterdir()] == [f"{FINGERPRINT}.gpg"]


def test_a_wanted_key_that_is_not_there_is_named_and_none_is_made(tmp_path: Path) -> None:
    gpg = Gpg()
    gpg.on("--list-secret-keys", "release@example", returncode=2, stderr="gpg: error reading key: No secret key")
    with pytest.raises(InputError, match=f"no secret key 'release@example' in {tmp_path}"):
        keys.ensure(tmp_path, runner=gpg, wanted="release@example")
    assert not [line for line in gpg.lines if "--quick-generate-key" in line]


def test_a_wanted_key_is_the_one_that_signs(tmp_path: Path) -> None:
    gpg = Gpg()
    gpg.on("--list-secret-keys", "release@example", stdout=LISTING)
    assert keys.ensure(tmp_path, runner=gpg, wanted="release@example").fingerprint == FINGERPRINT
