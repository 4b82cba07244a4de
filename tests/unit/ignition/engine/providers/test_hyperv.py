"""The config among the values that a Hyper-V host sends."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

import pytest

from nestos.ignition.engine.providers import hyperv
from nestos.ignition.engine.providers.hyperv import (
    MESSAGE_BYTES,
    REGISTER,
    SET,
    VALUE,
    config_in,
    pool_files,
    values_in,
)
from tests.unit.ignition.engine.bench import Bench
from tests.unit.ignition.engine.cloud import Cloud
from tests.unit.ignition.engine.providers.test_metadata import CONFIG, files

TEXT = 1


class Host:
    """The kernel's side of the device: answers the registration, then sends values one by one."""

    def __init__(self, pairs: Sequence[tuple[int, str, str]], *, also: Sequence[bytes] = ()) -> None:
        self.waiting = [message(REGISTER)]
        self.waiting += [message(SET, pool=pool, key=key, value=value) for pool, key, value in pairs]
        self.waiting += also
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        assert len(data) == MESSAGE_BYTES
        self.sent.append(data)

    def close(self) -> None:
        pass

    def receive(self) -> bytes | None:
        return self.waiting.pop(0) if self.waiting else None


def message(operation: int, *, pool: int = 0, key: str = "", value: str = "") -> bytes:
    packed = VALUE.pack(operation, pool, 0, TEXT, len(key) + 1, len(value) + 1, key.encode(), value.encode())
    return packed.ljust(MESSAGE_BYTES, b"\0")


def test_values_are_sorted_by_their_pools_and_each_is_acknowledged() -> None:
    host = Host([(0, "a", "1"), (3, "b", "2"), (0, "c", "")])

    values = values_in(host)

    assert values == {0: [(b"a", b"1"), (b"c", b"")], 1: [], 2: [], 3: [(b"b", b"2")], 4: []}
    assert host.sent[0][0] == REGISTER
    assert [sent[:4] for sent in host.sent[1:]] == [bytes(4)] * 3


def test_what_is_not_understood_is_refused() -> None:
    host = Host([], also=[message(7)])

    values_in(host)

    assert host.sent[1][:4] == (0x80004005).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("pairs", "config"),
    [
        ([("ignition.config", "whole")], b"whole"),
        ([("ignition.config", "first"), ("ignition.config", "second")], b"first"),
        ([("ignition.config.1", "b"), ("ignition.config.0", "a"), ("ignition.config.3", "d")], b"ab"),
        ([("ignition.config.0", "piece"), ("ignition.config", "whole")], b"whole"),
        ([("ignition.config", ""), ("ignition.config.0", "piece")], b"piece"),
        ([("other", "x")], None),
        ([], None),
    ],
)
def test_the_config_is_one_value_or_several(pairs: list[tuple[str, str]], config: bytes | None) -> None:
    assert config_in({0: [(key.encode(), value.encode()) for key, value in pairs]}) == config


def test_the_config_is_in_the_hosts_pool() -> None:
    assert config_in({1: [(b"ignition.config", b"x")]}) is None


def test_the_files_of_the_daemon_are_written_for_it_and_only_root_may_read_them() -> None:
    empty, full = pool_files({1: [(b"key", b"value")], 0: []})

    assert (empty["path"], full["path"]) == ("/var/lib/hyperv/.kvp_pool_0", "/var/lib/hyperv/.kvp_pool_1")
    assert {file["mode"] for file in (empty, full)} == {0o600}
    assert all(file["overwrite"] for file in (empty, full))
    data = base64.b64decode(full["contents"]["source"].partition(",")[2])
    assert data == b"key".ljust(512, b"\0") + b"value".ljust(2048, b"\0")
    assert empty["contents"]["source"].endswith("base64,")


def test_a_message_is_as_long_as_the_kernels() -> None:
    assert hyperv.VALUE.size == 4 + 12 + 512 + 2048


def answer_with(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hyperv, "KernelMessages", lambda device: host)


def test_the_config_is_found_again_after_the_host_has_sent_it_once(
    machine: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.dumps({"ignition": {"version": "3.3.0", "config": {"merge": [{"source": "http://server/c"}]}}})
    answer_with(Host([(0, "ignition.config", config)]), monkeypatch)
    assert machine.stage("fetch-offline", platform="hyperv") == 0, machine.said
    assert machine.neednet.exists()

    answer_with(Host([]), monkeypatch)
    machine.network = Cloud(machine.clock, {"http://server/c": CONFIG})

    assert machine.stage("fetch", platform="hyperv") == 0, machine.said
    assert files(machine) == ["/a"]
    assert len(machine.job().read_state()["providerOutputFiles"]) == 5


def test_what_the_daemon_took_is_in_its_files(machine: Bench) -> None:
    pool = machine.folder / "top/var/lib/hyperv/.kvp_pool_0"
    pool.parent.mkdir(parents=True)
    pool.write_bytes(b"ignition.config".ljust(512, b"\0") + CONFIG.encode().ljust(2048, b"\0"))

    assert machine.stage("fetch-offline", platform="hyperv") == 0, machine.said
    assert files(machine) == ["/a"]


def test_without_device_and_files_the_error_says_so(machine: Bench) -> None:
    assert machine.stage("fetch-offline", platform="hyperv") == 1
    assert "reading key-value pairs: No such file or directory" in machine.said
