"""DigitalOcean: the config is the user data of the droplet; a service without any is an error."""

from __future__ import annotations

from nestos.ignition.engine.providers.sources.metadata import UserData

fetch_config = UserData(url="http://169.254.169.254/metadata/v1/user-data", missing_is_empty=False)
