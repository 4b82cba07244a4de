"""What Equinix Metal is told of the stages."""

from __future__ import annotations

import json

import pytest

from nestos.ignition.engine.providers.packet import report_status
from nestos.ignition.engine.transport import FetchError, NeedsNetworkError
from tests.unit.ignition.engine.bench import Bench
from tests.unit.ignition.engine.cloud import Cloud, Page

METADATA = "https://metadata.packet.net/metadata"
HOME = "http://tinkerbell.example/phone-home"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("", {"state": "running", "message": "[files] Ignition status: finished successfully"}),
        ("no disk", {"state": "failed", "message": "[files] Ignition error: no disk"}),
    ],
)
def test_the_outcome_of_a_stage_goes_to_the_timeline(error: str, message: dict[str, str], machine: Bench) -> None:
    machine.network = cloud = Cloud(machine.clock, {METADATA: json.dumps({"phone_home_url": HOME})})
    cloud.put("POST http://tinkerbell.example/events", Page(status=201))

    report_status(machine.job(), stage="files", error=error)

    assert cloud.urls == [METADATA, "POST http://tinkerbell.example/events"]
    assert json.loads(cloud.asked[1].body) == message
    assert cloud.asked[1].headers["Content-Type"] == "application/json"


def test_without_a_network_nobody_is_told(machine: Bench) -> None:
    with pytest.raises(NeedsNetworkError):
        report_status(machine.job(), stage="fetch-offline", error="")


def test_a_machine_without_an_address_to_report_to_says_so(machine: Bench) -> None:
    machine.network = Cloud(machine.clock, {METADATA: "{}"})

    with pytest.raises(FetchError, match="does not say where to report to"):
        report_status(machine.job(), stage="files", error="")
