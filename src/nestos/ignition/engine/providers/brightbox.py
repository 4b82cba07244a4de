"""Brightbox: a cloud that speaks as OpenStack does."""

from __future__ import annotations

from nestos.ignition.engine.providers.openstack import fetch_config

__all__ = ["fetch_config"]
