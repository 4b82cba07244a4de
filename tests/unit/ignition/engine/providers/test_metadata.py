"""Platforms whose config is asked of a metadata service, against a stand-in of each."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping

import pytest

from nestos.ignition.engine.acquire import empty
from tests.unit.ignition.engine.bench import Bench
from tests.unit.ignition.engine.cloud import Cloud, Page, page

CONFIG = '{"ignition": {"version": "3.3.0"}, "storage": {"files": [{"path": "/a"}]}}'
IN_BASE64 = base64.b64encode(CONFIG.encode()).decode()
LINK_LOCAL = "http://169.254.169.254"

SERVICES: Mapping[str, tuple[str, str, Mapping[str, str]]] = {
    "akamai": (f"{LINK_LOCAL}/v1/user-data", IN_BASE64, {"Accept": "*/*", "Metadata-Token": "token"}),
    "aliyun": ("http://100.100.100.200/latest/user-data", CONFIG, {}),
    "aws": (f"{LINK_LOCAL}/2019-10-01/user-data", CONFIG, {"X-Aws-Ec2-Metadata-Token": "token"}),
    "azure": (
        f"{LINK_LOCAL}/metadata/instance/compute/userData?api-version=2021-01-01&format=text",
        IN_BASE64,
        {"Metadata": "true"},
    ),
    "brightbox": (f"{LINK_LOCAL}/openstack/latest/user_data", CONFIG, {}),
    "digitalocean": (f"{LINK_LOCAL}/metadata/v1/user-data", CONFIG, {}),
    "exoscale": (f"{LINK_LOCAL}/1.0/user-data", CONFIG, {}),
    "gcp": (
        f"{LINK_LOCAL}/computeMetadata/v1/instance/attributes/user-data",
        CONFIG,
        {"Metadata-Flavor": "Google"},
    ),
    "hetzner": (f"{LINK_LOCAL}/hetzner/v1/userdata", CONFIG, {}),
    "openstack": (f"{LINK_LOCAL}/openstack/latest/user_data", CONFIG, {}),
    "oraclecloud": (
        f"{LINK_LOCAL}/opc/v2/instance/metadata/user_data",
        IN_BASE64,
        {"Authorization": "Bearer Oracle"},
    ),
    "packet": ("https://metadata.packet.net/userdata", CONFIG, {"Accept": "*/*"}),
    "scaleway": ("http://169.254.42.42/user_data/cloud-init", CONFIG, {}),
    "upcloud": (f"{LINK_LOCAL}/metadata/v1/user_data", CONFIG, {}),
    "vultr": (f"{LINK_LOCAL}/user-data/user-data", CONFIG, {}),
}
WITHOUT_USER_DATA_IS_AN_ERROR = {"akamai", "digitalocean", "packet"}
WAITS_FOR_USER_DATA = {"azure"}
TOKENS = {"PUT http://169.254.169.254/v1/token": "token\n", "PUT http://169.254.169.254/latest/api/token": "token"}


@pytest.fixture
def cloud(machine: Bench) -> Cloud:
    machine.network = made = Cloud(machine.clock, TOKENS)
    return made


def files(machine: Bench) -> list[str]:
    return [file["path"] for file in machine.cached().get("storage", {}).get("files", [])]


@pytest.mark.parametrize("platform", SERVICES)
def test_the_config_is_where_the_platform_says(platform: str, cloud: Cloud, machine: Bench) -> None:
    url, body, headers = SERVICES[platform]
    cloud.put(url, body)

    assert machine.stage("fetch", platform=platform) == 0, machine.said

    assert files(machine) == ["/a"]
    asked = cloud.asked[-1]
    assert {name: asked.headers[name] for name in headers} == headers
    assert asked.low_port == (platform == "scaleway")
    assert not machine.neednet.exists()


@pytest.mark.parametrize("platform", SERVICES)
def test_without_a_network_only_one_is_asked_for(platform: str, cloud: Cloud, machine: Bench) -> None:
    assert machine.stage("fetch-offline", platform=platform) == 0, machine.said

    assert machine.neednet.exists()
    assert not machine.cache.exists()
    assert cloud.wires == []


@pytest.mark.parametrize("platform", sorted(SERVICES.keys() - WITHOUT_USER_DATA_IS_AN_ERROR - WAITS_FOR_USER_DATA))
def test_no_user_data_is_an_empty_config(platform: str, cloud: Cloud, machine: Bench) -> None:
    assert machine.stage("fetch", platform=platform) == 0, machine.said

    assert machine.cached() == empty()


@pytest.mark.parametrize("platform", sorted(WITHOUT_USER_DATA_IS_AN_ERROR))
def test_where_there_has_to_be_user_data_none_is_an_error(platform: str, cloud: Cloud, machine: Bench) -> None:
    assert machine.stage("fetch", platform=platform) == 1

    assert "resource not found" in machine.said
    assert not machine.cache.exists()


@pytest.mark.parametrize("platform", SERVICES)
def test_a_service_that_is_not_ready_is_asked_again(platform: str, cloud: Cloud, machine: Bench) -> None:
    url, body, _ = SERVICES[platform]
    cloud.faults = [OSError(101, "Network is unreachable")] * 3
    broken = [Page(status=500), Page(body=body.encode(), cut=9), Page(body=b"late", after_seconds=11)]
    cloud.put(url, [*broken, page(status=302, Location="/elsewhere")])
    cloud.put(url.partition("/")[0] + "//" + url.split("/")[2] + "/elsewhere", body)

    assert machine.stage("fetch", platform=platform) == 0, machine.said
    assert files(machine) == ["/a"]


@pytest.mark.parametrize("platform", sorted(SERVICES.keys() - {"openstack", "brightbox"}))
def test_a_service_that_never_answers_is_given_up_after_two_minutes(
    platform: str, cloud: Cloud, machine: Bench
) -> None:
    cloud.silent = {"169.254.169.254", "100.100.100.200", "metadata.packet.net", "169.254.42.42"}

    assert machine.stage("fetch", platform=platform) == 1

    assert 100 < machine.clock.monotonic() <= 120.1
    assert "unable to fetch resource in time" in machine.said
    assert "waiting for http" in machine.said


@pytest.mark.parametrize("platform", ["akamai", "azure", "oraclecloud"])
def test_what_is_no_base64_is_refused(platform: str, cloud: Cloud, machine: Bench) -> None:
    cloud.put(SERVICES[platform][0], "e30=e30=")

    assert machine.stage("fetch", platform=platform) == 1
    assert "unable to decode base64" in machine.said


def test_akamai_may_compress(cloud: Cloud, machine: Bench) -> None:
    cloud.put(SERVICES["akamai"][0], base64.b64encode(gzip.compress(CONFIG.encode())))

    assert machine.stage("fetch", platform="akamai") == 0, machine.said
    assert files(machine) == ["/a"]


@pytest.mark.parametrize("body", [gzip.compress(CONFIG.encode())[:-9], b"\x1f\x8b\x08"])
def test_akamai_must_compress_whole(body: bytes, cloud: Cloud, machine: Bench) -> None:
    cloud.put(SERVICES["akamai"][0], base64.b64encode(body))

    assert machine.stage("fetch", platform="akamai") == 1
    assert "unable to decompress gzip" in machine.said


def test_akamais_token_must_not_be_empty(cloud: Cloud, machine: Bench) -> None:
    cloud.put("PUT http://169.254.169.254/v1/token", " \n")

    assert machine.stage("fetch", platform="akamai") == 1
    assert "received an empty token" in machine.said


def test_a_wrong_token_is_an_error(cloud: Cloud, machine: Bench) -> None:
    cloud.put(SERVICES["aws"][0], Page(status=401))

    assert machine.stage("fetch", platform="aws") == 1
    assert "failed to fetch resource" in machine.said


def test_aws_may_be_too_old_for_tokens(cloud: Cloud, machine: Bench) -> None:
    cloud.put("PUT http://169.254.169.254/latest/api/token", Page(status=404))
    cloud.put(SERVICES["aws"][0], CONFIG)

    assert machine.stage("fetch", platform="aws") == 0
    assert "X-Aws-Ec2-Metadata-Token" not in cloud.asked[-1].headers
    assert "falling back to IMDSv1" in machine.said


@pytest.mark.parametrize("status", [404, 410, 429])
def test_azure_says_so_while_it_starts(status: int, cloud: Cloud, machine: Bench) -> None:
    url, body, _ = SERVICES["azure"]
    cloud.put(url, [Page(status=status)] * 3 + [page(body)])

    assert machine.stage("fetch", platform="azure") == 0
    assert files(machine) == ["/a"]


def test_oracle_may_be_asked_too_often(cloud: Cloud, machine: Bench) -> None:
    url, body, _ = SERVICES["oraclecloud"]
    cloud.put(url, [Page(status=429), page(body)])

    assert machine.stage("fetch", platform="oraclecloud") == 0
    assert files(machine) == ["/a"]


def test_apples_hypervisor_is_reached_over_vsock_even_without_a_network(cloud: Cloud, machine: Bench) -> None:
    cloud.put("http://d:1024/", CONFIG)

    assert machine.stage("fetch-offline", platform="applehv") == 0, machine.said

    assert cloud.contexts == [(2, 1024)]
    assert cloud.asked[0].headers["Accept"] == "application/json"
    assert machine.tools.commands == [["modprobe", "vsock"]]
    assert files(machine) == ["/a"]


def test_the_state_names_the_platform_as_the_source(cloud: Cloud, machine: Bench) -> None:
    cloud.put(SERVICES["hetzner"][0], CONFIG)

    machine.stage("fetch", platform="hetzner")

    assert machine.job().read_state()["fetchedConfigs"][1:] == [
        {"kind": "user", "source": "hetzner", "referenced": False}
    ]
