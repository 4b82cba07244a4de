"""UpCloud: the config is the user data; the metadata service has to be enabled for the server."""

from __future__ import annotations

from nestos.ignition.engine.providers.sources.metadata import UserData

fetch_config = UserData(url="http://169.254.169.254/metadata/v1/user_data")
