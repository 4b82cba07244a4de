"""VMware's guestinfo, over vsock and by its programs."""

from __future__ import annotations

import base64
import errno
import gzip
import struct
from collections.abc import Mapping
from typing import Any

import pytest

from nestos.base.errors import CommandError
from nestos.host.process import Completed
from nestos.ignition.engine.acquire import empty
from nestos.ignition.engine.providers.sources.guest_info import packet, payload
from nestos.ignition.engine.providers.sources.ovf_environment import properties, without
from nestos.ignition.engine.providers.vmware import delete_config
from nestos.ignition.engine.transport import FetchError
from tests.unit.ignition.engine.bench import Bench, FakeTools
from tests.unit.ignition.engine.providers.test_metadata import CONFIG, files

NAMESPACE = "http://schemas.dmtf.org/ovf/environment/1"
DATA, ENCODING = "guestinfo.ignition.config.data", "guestinfo.ignition.config.data.encoding"


def environment(*lines: str) -> str:
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<Environment xmlns="{NAMESPACE}" xmlns:oe="{NAMESPACE}" xmlns:ex="http://example.com/x" oe:id="vm">',
            "  <PropertySection>",
            *lines,
            "  </PropertySection>",
            "</Environment>",
        ]
    )


def held(key: str, value: str) -> str:
    return f'    <Property oe:key="{key}" oe:value="{value}"/>'


class Host:
    """Guestinfo values, behind vsock and behind the programs."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = {f"guestinfo.{name}": value for name, value in values.items()}
        self.reachable = True
        self.places: list[tuple[int, int, bool]] = []
        self._answer = b""

    def command(self, text: str) -> tuple[bool, str]:
        verb, name, *rest = text.split(" ", 2)
        if verb == "info-set":
            self.values[name] = rest[0]
            return True, ""
        return (True, self.values[name]) if name in self.values else (False, "No value found")

    def connect_context(self, context: int, port: int, *, low_port: bool) -> Any:
        if not self.reachable:
            raise OSError(errno.ENODEV, "No such device")
        self.places.append((context, port, low_port))
        return self

    def sendall(self, data: bytes) -> None:
        assert int.from_bytes(data[:4], "big") == len(data) - 4
        done, text = self.command(payload(data[4:]).decode())
        self._answer = packet(f"{int(done)} {text}".encode())

    def recv(self, size: int) -> bytes:
        data, self._answer = self._answer[: min(size, 7)], self._answer[min(size, 7) :]
        return data

    def settimeout(self, seconds: float | None) -> None:
        assert seconds

    def close(self) -> None:
        assert self._answer == b""


class Programs(FakeTools):
    """The programs there are, speaking to a host."""

    def __init__(self, machine: Bench, host: Host, *names: str) -> None:
        super().__init__(machine.root)
        self.host, self.names = host, names

    def __call__(self, command, /, **more):  # type: ignore[no-untyped-def]
        super().__call__(command, **more)
        if command[0] == "modprobe":
            return Completed(returncode=0, stdout="", stderr="")
        if command[0] not in self.names:
            raise CommandError(f"{command[0]} was not found", returncode=127, output="")
        done, text = self.host.command(command[-1])
        if not done:
            raise CommandError("exit status 1", returncode=1, output=text)
        return Completed(returncode=0, stdout=f"{text}\n", stderr="")


def plug(machine: Bench, *programs: str, **values: str) -> Host:
    host = Host({name.replace("_", "."): value for name, value in values.items()})
    machine.network = host  # type: ignore[assignment]
    machine.tools = Programs(machine, host, *programs)
    return host


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


FORMS = [
    ("", CONFIG),
    ("base64", in_base64(CONFIG.encode())),
    ("b64", in_base64(CONFIG.encode())),
    *((form, in_base64(gzip.compress(CONFIG.encode()))) for form in ("gzip+base64", "gz+b64", "gz+base64", "gzip+b64")),
]


@pytest.mark.parametrize("programs", [(), ("vmware-rpctool",), ("vmtoolsd",)])
@pytest.mark.parametrize(("form", "data"), FORMS)
def test_the_config_is_a_value_in_any_encoding(form: str, data: str, programs: tuple[str, ...], machine: Bench) -> None:
    host = plug(machine, *programs, ignition_config_data=data, ignition_config_data_encoding=form)

    assert machine.stage("fetch-offline", platform="vmware") == 0, machine.said

    assert files(machine) == ["/a"]
    assert set(host.places) == (set() if programs else {(0, 976, True)})


def test_an_unknown_encoding_is_refused(machine: Bench) -> None:
    plug(machine, ignition_config_data="x", ignition_config_data_encoding="rot13")

    assert machine.stage("fetch-offline", platform="vmware") == 1
    assert 'unsupported encoding "rot13"' in machine.said


def test_a_host_without_values_has_no_config(machine: Bench) -> None:
    plug(machine)

    assert machine.stage("fetch-offline", platform="vmware") == 0, machine.said
    assert machine.cached() == empty()


def test_properties_count_where_there_are_no_values(machine: Bench) -> None:
    in_properties = environment(held(DATA, in_base64(CONFIG.encode())), held(ENCODING, "base64"))
    plug(machine, ovfenv=in_properties)

    assert machine.stage("fetch-offline", platform="vmware") == 0, machine.said
    assert files(machine) == ["/a"]


def test_values_win_over_properties(machine: Bench) -> None:
    plug(machine, ovfenv=environment(held(DATA, "{}")), ignition_config_data=CONFIG)

    assert machine.stage("fetch-offline", platform="vmware") == 0, machine.said
    assert files(machine) == ["/a"]


def test_without_any_way_to_the_host_the_error_says_what_was_tried(machine: Bench) -> None:
    plug(machine).reachable = False

    assert machine.stage("fetch-offline", platform="vmware") == 1
    assert "config provider was not online" in machine.said
    for way in ("vmware-rpctool", "vmtoolsd", "vsock"):
        assert way in machine.said


def test_a_program_that_does_not_reach_the_host_is_no_host_without_values(machine: Bench) -> None:
    host = plug(machine, "vmware-rpctool")
    host.command = lambda text: (False, "Failed sending message to VMware.")  # type: ignore[method-assign]
    host.reachable = False

    assert machine.stage("fetch-offline", platform="vmware") == 1


def test_what_is_deleted_is_overwritten_since_it_cannot_be_removed(machine: Bench) -> None:
    host = plug(machine, ignition_config_data=CONFIG)

    delete_config(machine.job())

    assert host.values == {DATA: "e30K", ENCODING: "base64"}


def test_what_is_not_there_is_not_deleted(machine: Bench) -> None:
    host = plug(machine, ovfenv=environment(held("foo", "1")))
    before = dict(host.values)

    delete_config(machine.job())

    assert host.values == before


def test_properties_are_deleted_and_everything_else_stays_byte_for_byte() -> None:
    kept = [
        f'    <Property ex:key="{DATA}" oe:value="keep"/>',
        f'    <ex:Property oe:key="{DATA}" oe:value="keep"/>',
        f'    <Property key="{DATA}" value="not by its namespace"/>',
        f"    <Deeper>{held(DATA, 'keep')}</Deeper>",
        "    <!-- a remark & such -->".replace("&", "and"),
    ]
    gone = [held(DATA, "remove"), f'    <Property oe:key="{ENCODING}" oe:value="x">text ></Property >']
    document = environment(kept[0], gone[0], *kept[1:], gone[1], held("bar", "é"))
    expected = environment(kept[0], "    ", *kept[1:], "    ", held("bar", "é"))

    assert without(document.encode(), (DATA, ENCODING)).decode() == expected


def test_a_broken_environment_is_read_as_far_as_it_goes_but_not_changed() -> None:
    document = (environment(held("foo", "42")) + "garbage").encode()

    assert properties(document) == {"foo": "42"}
    with pytest.raises(FetchError):
        without(document, (DATA,))


def test_a_packet_has_the_form_of_vmwares_own() -> None:
    fields = struct.pack("!IIIIIIIIIII", 1, 1, 1, 0, 1, 3, 1, 0, 2, 2, 4) + b"text"

    assert packet(b"text") == struct.pack("!I", len(fields)) + fields
