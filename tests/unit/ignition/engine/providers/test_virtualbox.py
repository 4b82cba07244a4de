"""Guest properties of VirtualBox, against a driver that reads the requests as the kernel's does."""

from __future__ import annotations

import ctypes
import struct
from typing import Any

import pytest

from nestos.ignition.engine.acquire import empty
from nestos.ignition.engine.providers.sources.guest_properties import request_number
from nestos.ignition.engine.providers.virtualbox import delete_config
from nestos.ignition.engine.transport import FetchError
from tests.unit.ignition.engine.bench import Bench
from tests.unit.ignition.engine.providers.test_metadata import CONFIG, files

CONFIG_NAME, ENCODING_NAME = "/Ignition/Config", "/Ignition/Config/Encoding"
CLIENT = 77


class Driver:
    """/dev/vboxguest: follows the addresses in the requests."""

    def __init__(self, properties: dict[str, bytes]) -> None:
        self.properties = properties
        self.locked = False
        self.connected = False

    def control(self, file: int, request: int, message: Any) -> int:
        kind, size = request & 0xFF, request >> 16 & 0x3FFF
        assert (request >> 30, request >> 8 & 0xFF, size) == (3, ord("V"), len(message))
        size_in, version, _, _, size_out, _ = struct.unpack_from("=IIIiII", message)
        assert version == 0x10001
        assert max(size_in, size_out) == size
        getattr(self, {0: "_version", 4: "_connect", 5: "_disconnect", 7: "_call"}[kind])(message)
        return 0

    def _version(self, message: bytearray) -> None:
        assert len(message) == 24 + 20
        assert struct.unpack_from("=II", message, 24) == (0x10000, 0x10000)

    def _connect(self, message: bytearray) -> None:
        assert len(message) == 24 + 132
        assert message[24:28] == b"\2\0\0\0"
        assert message[28:].rstrip(b"\0") == b"VBoxGuestPropSvc"
        struct.pack_into("=I", message, 24, CLIENT)
        self.connected = True

    def _disconnect(self, message: bytearray) -> None:
        assert struct.unpack_from("=I", message, 24) == (CLIENT,)
        self.connected = False

    def _call(self, message: bytearray) -> None:
        client, function, _, _, _, count = struct.unpack_from("=IIIBBH", message, 24)
        assert client == CLIENT
        parameters = [struct.unpack_from("=IIQ", message, 40 + 16 * index) for index in range(count)]
        assert parameters[0][0] == 5
        name = ctypes.string_at(parameters[0][2], parameters[0][1]).removesuffix(b"\0").decode()
        outcome = {1: self._get, 4: self._delete}[function](name, parameters, message)
        struct.pack_into("=i", message, 12, outcome)

    def _get(self, name: str, parameters: list[tuple[int, int, int]], message: bytearray) -> int:
        if name not in self.properties:
            return -78
        value = self.properties[name]
        struct.pack_into("=II", message, 40 + 16 * 3, 1, len(value))
        if parameters[1][1] < len(value):
            return -41
        ctypes.memmove(parameters[1][2], value, len(value))
        return 0

    def _delete(self, name: str, parameters: list[tuple[int, int, int]], message: bytearray) -> int:
        if self.locked:
            return -10
        self.properties.pop(name, None)
        return 0


@pytest.fixture
def driver(machine: Bench) -> Driver:
    made = Driver({CONFIG_NAME: CONFIG.encode() + b"\0RDONLYGUEST\0"})
    machine.control = made.control
    device = machine.folder / "top/dev/vboxguest"
    device.parent.mkdir(parents=True)
    device.write_text("")
    return made


def test_the_config_is_a_guest_property(driver: Driver, machine: Bench) -> None:
    assert machine.stage("fetch-offline", platform="virtualbox") == 0, machine.said

    assert files(machine) == ["/a"]
    assert not driver.connected


def test_without_the_property_there_is_no_config(driver: Driver, machine: Bench) -> None:
    driver.properties.clear()

    assert machine.stage("fetch-offline", platform="virtualbox") == 0
    assert machine.cached() == empty()


def test_an_encoding_is_refused(driver: Driver, machine: Bench) -> None:
    driver.properties[ENCODING_NAME] = b"base64\0\0"

    assert machine.stage("fetch-offline", platform="virtualbox") == 1
    assert 'unsupported "/Ignition/Config/Encoding" value "base64"' in machine.said


def test_a_machine_without_the_device_is_an_error(machine: Bench) -> None:
    assert machine.stage("fetch-offline", platform="virtualbox") == 1
    assert "/dev/vboxguest: No such file or directory" in machine.said


def test_the_config_can_be_deleted(driver: Driver, machine: Bench) -> None:
    driver.properties[ENCODING_NAME] = b"\0\0"

    delete_config(machine.job())

    assert driver.properties == {}
    assert not driver.connected


def test_a_property_that_the_guest_may_not_change_stays(driver: Driver, machine: Bench) -> None:
    driver.locked = True

    with pytest.raises(FetchError, match="permission denied; is the property read-only"):
        delete_config(machine.job())


def test_the_requests_have_the_numbers_of_the_kernels_header() -> None:
    assert [hex(request_number(kind, size)) for kind, size in ((0, 44), (4, 156), (5, 28), (7, 104))] == [
        "0xc02c5600",
        "0xc09c5604",
        "0xc01c5605",
        "0xc0685607",
    ]
