"""What an EC2 instance knows of itself: its region, and the role that it may act in (IMDSv2, else IMDSv1)."""

from __future__ import annotations

import json

from nestos.ignition.engine.fetchers.http import Request, get
from nestos.ignition.engine.fetchers.signature import Credentials
from nestos.ignition.engine.transport import FetchError, NotFoundError, Transport

SERVICE = "http://169.254.169.254"
_SESSION_SECONDS = "21600"


def token_headers(transport: Transport) -> dict[str, str]:
    """The headers that show a session of IMDSv2; none where the service is too old to have sessions."""
    wish = {"X-aws-ec2-metadata-token-ttl-seconds": _SESSION_SECONDS}
    try:
        token = get(Request(url=f"{SERVICE}/latest/api/token", method="PUT", headers=wish), transport=transport)
    except NotFoundError:
        transport.log.info("IMDSv2 service is unavailable; falling back to IMDSv1")
        return {}
    return {"X-aws-ec2-metadata-token": token.decode("latin-1").strip()}


def region(transport: Transport) -> str:
    """The region of this instance, or the empty string."""
    url = f"{SERVICE}/latest/dynamic/instance-identity/document"
    try:
        found = json.loads(get(Request(url=url, headers=token_headers(transport)), transport=transport))
        return str(found["region"])
    except (FetchError, ValueError, KeyError, TypeError) as error:
        transport.log.warning(f"failed to determine EC2 region: {error}")
        return ""


def role(transport: Transport) -> Credentials | None:
    """The credentials of the role of this instance; none where it has none."""
    url = f"{SERVICE}/latest/meta-data/iam/security-credentials/"
    try:
        headers = token_headers(transport)
        name = get(Request(url=url, headers=headers), transport=transport).decode().partition("\n")[0].strip()
        if not name:
            return None
        found = json.loads(get(Request(url=url + name, headers=headers), transport=transport))
        return Credentials(key_id=found["AccessKeyId"], secret=found["SecretAccessKey"], token=found["Token"])
    except (FetchError, ValueError, KeyError, TypeError) as error:
        transport.log.info(f"no EC2 IMDS role found: {error}; asking anonymously")
        return None
