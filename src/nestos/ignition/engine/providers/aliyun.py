"""Alibaba Cloud: the config is the user data of the instance."""

from __future__ import annotations

from nestos.ignition.engine.providers.sources.metadata import UserData

fetch_config = UserData(url="http://100.100.100.200/latest/user-data")
