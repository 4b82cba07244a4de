"""Scaleway: the config is the user data, given only to who asks from a port below 1024, that is to root."""

from __future__ import annotations

from nestos.ignition.engine.providers.sources.metadata import UserData

fetch_config = UserData(url="http://169.254.42.42/user_data/cloud-init", low_port=True)
