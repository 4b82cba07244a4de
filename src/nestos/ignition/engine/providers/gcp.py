"""Google Cloud: the config is the metadata entry ``user-data`` of the instance."""

from __future__ import annotations

from nestos.ignition.engine.providers.sources.metadata import UserData

fetch_config = UserData(
    url="http://169.254.169.254/computeMetadata/v1/instance/attributes/user-data", headers={"Metadata-Flavor": "Google"}
)
