"""Contents of the object storages of Amazon, Google and Microsoft, against stand-ins."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from nestos.ignition.engine.fetchers.s3 import Place, place_of
from nestos.ignition.engine.fetchers.signature import Credentials, signed_headers
from nestos.ignition.engine.transport import FetchError, NeedsNetworkError, fetch_bytes
from tests.unit.ignition.engine.bench import Bench
from tests.unit.ignition.engine.cloud import Cloud, Page, page

LINK_LOCAL = "http://169.254.169.254"
TOKEN = {f"PUT {LINK_LOCAL}/latest/api/token": "session"}
REGION = {f"{LINK_LOCAL}/latest/dynamic/instance-identity/document": '{"region": "eu-west-1"}'}
ROLE = {
    f"{LINK_LOCAL}/latest/meta-data/iam/security-credentials/": "my-role",
    f"{LINK_LOCAL}/latest/meta-data/iam/security-credentials/my-role": json.dumps(
        {"AccessKeyId": "AKID", "SecretAccessKey": "SECRET", "Token": "TOKEN"}
    ),
}

Get = Callable[..., bytes]


@pytest.fixture
def cloud(machine: Bench) -> Cloud:
    machine.network = made = Cloud(machine.clock, TOKEN)
    return made


@pytest.fixture
def get(machine: Bench, cloud: Cloud) -> Get:
    def call(source: str, *, platform: str = "", **more: Any) -> bytes:
        resource: Any = {"source": source, **more}
        return fetch_bytes(resource, transport=machine.transport(platform=platform, total_seconds=60))

    return call


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("s3://bucket/dir/key", Place(bucket="bucket", key="dir/key")),
        ("s3://bucket//key%20x?versionId=a%2Fb", Place(bucket="bucket", key="key x", version="a/b")),
        ("arn:aws:s3:::bucket/dir/key", Place(bucket="bucket", key="dir/key", hint="us-east-1")),
        ("arn:aws-cn:s3:::b.c/k?versionId=v", Place(bucket="b.c", key="k", hint="cn-north-1", version="v")),
        ("arn:aws-iso:s3:::bucket/key", Place(bucket="bucket", key="key")),
        (
            "arn:aws:s3:us-west-1:123456789012:accesspoint/point/object/dir/key",
            Place(bucket="point", key="dir/key", region="us-west-1", account="123456789012", hint=""),
        ),
    ],
)
def test_urls_and_arns_name_objects(url: str, place: Place) -> None:
    assert place_of(url) == place


@pytest.mark.parametrize("url", ["arn:aws:ec2:::x/y", "arn:aws:s3:::bucket", "arn:aws:s3:r:a:accesspoint/p/other/k"])
def test_arns_of_anything_else_are_refused(url: str) -> None:
    with pytest.raises(FetchError, match="invalid S3 ARN format"):
        place_of(url)


def test_outside_of_amazon_an_object_is_asked_for_anonymously_in_its_region(get: Get, cloud: Cloud) -> None:
    cloud.put("HEAD https://bucket.s3.us-east-1.amazonaws.com/", page(status=403, X_Amz_Bucket_Region="eu-north-1"))
    cloud.put("https://bucket.s3.dualstack.eu-north-1.amazonaws.com/dir/my%20key?versionId=v%2F1", "body")

    assert get("s3://bucket/dir/my key?versionId=v/1") == b"body"
    assert "Authorization" not in cloud.asked[-1].headers
    assert len(cloud.asked) == 2


def test_the_region_stands_also_in_a_redirect_which_is_not_followed(get: Get, cloud: Cloud) -> None:
    moved = page(status=301, X_Amz_Bucket_Region="eu-north-1", Location="https://elsewhere/")
    cloud.put("HEAD https://s3.us-east-1.amazonaws.com/my.bucket", moved)
    cloud.put("https://s3.dualstack.eu-north-1.amazonaws.com/my.bucket/key", "body")

    assert get("s3://my.bucket/key") == b"body"


def test_on_amazon_the_role_of_the_instance_signs(get: Get, cloud: Cloud) -> None:
    for url, body in {**REGION, **ROLE}.items():
        cloud.put(url, body)
    cloud.put("HEAD https://bucket.s3.eu-west-1.amazonaws.com/", page(X_Amz_Bucket_Region="eu-west-1"))
    cloud.put("https://bucket.s3.dualstack.eu-west-1.amazonaws.com/key", "body")

    assert get("s3://bucket/key", platform="aws") == b"body"

    headers = cloud.asked[-1].headers
    assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/20260102/eu-west-1/s3/aws4_request,")
    assert headers["X-Amz-Security-Token"] == "TOKEN"
    assert cloud.asked[1].headers["X-Aws-Ec2-Metadata-Token"] == "session"


def test_on_amazon_without_a_role_it_is_asked_anonymously(get: Get, cloud: Cloud, machine: Bench) -> None:
    cloud.put("HEAD https://bucket.s3.us-east-1.amazonaws.com/", page(X_Amz_Bucket_Region="eu-west-1"))
    cloud.put("https://bucket.s3.dualstack.eu-west-1.amazonaws.com/key", "body")

    assert get("s3://bucket/key", platform="aws") == b"body"
    assert "Authorization" not in cloud.asked[-1].headers
    assert "no EC2 IMDS role found" in machine.said


def test_an_access_point_has_a_host_of_its_own_and_no_region_to_ask_for(get: Get, cloud: Cloud) -> None:
    url = "https://point-123.s3-accesspoint.dualstack.cn-north-1.amazonaws.com.cn/key"
    cloud.put(url, "body")

    assert get("arn:aws-cn:s3:cn-north-1:123:accesspoint/point/object/key") == b"body"
    assert cloud.urls == [url]


@pytest.mark.parametrize(
    ("status", "headers", "text"),
    [
        (404, {}, 'could not find bucket "bucket"'),
        (403, {}, "couldn't determine the region"),
        (200, {"X_Amz_Bucket_Region": "eu-west-1"}, 'error fetching object "key" from bucket "bucket"'),
    ],
)
def test_a_bucket_or_an_object_that_is_not_there_is_an_error(
    status: int, headers: dict[str, str], text: str, get: Get, cloud: Cloud
) -> None:
    cloud.put("HEAD https://bucket.s3.us-east-1.amazonaws.com/", page(status=status, **headers))

    with pytest.raises(FetchError, match=text):
        get("s3://bucket/key")


def test_objects_of_amazon_are_not_decompressed(get: Get, cloud: Cloud) -> None:
    with pytest.raises(FetchError, match="compression is not supported with that scheme"):
        get("s3://bucket/key", compression="gzip")

    assert cloud.asked == []


def test_a_request_is_signed_as_in_amazons_example() -> None:
    headers = signed_headers(
        Credentials(key_id="AKIAIOSFODNN7EXAMPLE", secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        host="examplebucket.s3.amazonaws.com",
        path="/test.txt",
        query="",
        region="us-east-1",
        now=datetime(2013, 5, 24, tzinfo=UTC),
        headers={"range": "bytes=0-9"},
    )

    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


ACCOUNT = f"{LINK_LOCAL}/computeMetadata/v1/instance/service-accounts/default"
GOOGLE_TOKEN = f"{ACCOUNT}/token?scopes=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fdevstorage.read_only"


def test_googles_storage_is_asked_anonymously_elsewhere(get: Get, cloud: Cloud) -> None:
    cloud.put("https://storage.googleapis.com/bucket/dir/my%20object", "body")

    assert get("gs://bucket/dir/my%20object") == b"body"
    assert len(cloud.asked) == 1


@pytest.mark.parametrize("known_by", ["platform", "product"])
def test_googles_storage_is_asked_with_the_account_of_the_machine(
    known_by: str, get: Get, cloud: Cloud, machine: Bench
) -> None:
    cloud.put(f"{ACCOUNT}/scopes", "x")
    cloud.put(GOOGLE_TOKEN, '{"access_token": "secret"}')
    cloud.put("https://storage.googleapis.com/bucket/object", "body")
    if known_by == "product":
        product = machine.folder / "top/sys/class/dmi/id/product_name"
        product.parent.mkdir(parents=True)
        product.write_text("Google Compute Engine\n")

    assert get("gs://bucket/object", platform="gcp" if known_by == "platform" else "metal") == b"body"

    assert cloud.asked[0].headers["Metadata-Flavor"] == "Google"
    assert cloud.asked[-1].headers["Authorization"] == "Bearer secret"
    assert "secret" not in machine.said


def test_a_machine_of_google_without_an_account_is_anonymous(get: Get, cloud: Cloud) -> None:
    cloud.put("https://storage.googleapis.com/bucket/object", "body")

    assert get("gs://bucket/object", platform="gcp") == b"body"
    assert "Authorization" not in cloud.asked[-1].headers


BLOB = "https://account.blob.core.windows.net/container/config.ign"
IDENTITY = (
    f"{LINK_LOCAL}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fstorage.azure.com"
)


def test_azures_storage_is_read_as_the_machines_identity(get: Get, cloud: Cloud) -> None:
    cloud.put(IDENTITY, '{"access_token": "secret"}')
    cloud.put(BLOB, "body")

    assert get(BLOB, platform="azure") == b"body"

    assert cloud.asked[0].headers["Metadata"] == "true"
    assert cloud.asked[1].headers["Authorization"] == "Bearer secret"
    assert "X-Ms-Version" in cloud.asked[1].headers


@pytest.mark.parametrize("identity", [Page(status=400), page("no JSON"), Page(status=500)])
def test_azures_storage_may_be_readable_for_everybody(identity: Page, get: Get, cloud: Cloud) -> None:
    cloud.put(IDENTITY, identity)
    cloud.put(BLOB, "body")

    assert get(BLOB, platform="azure") == b"body"
    assert "Authorization" not in cloud.asked[-1].headers


def test_what_azure_refuses_to_the_identity_is_asked_plainly(get: Get, cloud: Cloud) -> None:
    cloud.put(IDENTITY, '{"access_token": "secret"}')
    cloud.put(BLOB, [Page(status=403), page("body")])

    assert get(BLOB, platform="azure") == b"body"


def test_elsewhere_azures_storage_is_a_web_server(get: Get, cloud: Cloud) -> None:
    cloud.put(BLOB, "body")

    assert get(BLOB, platform="metal") == b"body"
    assert cloud.urls == [BLOB]


@pytest.mark.parametrize("url", ["s3://b/k", "arn:aws:s3:::b/k", "gs://b/o", BLOB, "tftp://h/f"])
def test_all_of_them_need_a_network(url: str, machine: Bench) -> None:
    with pytest.raises(NeedsNetworkError):
        fetch_bytes({"source": url}, transport=machine.transport(offline=True, platform="azure"))
