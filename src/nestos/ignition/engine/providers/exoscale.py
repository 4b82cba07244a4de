"""Exoscale: the config is the user data of the instance."""

from __future__ import annotations

from nestos.ignition.engine.providers.sources.metadata import UserData

fetch_config = UserData(url="http://169.254.169.254/1.0/user-data")
