"""Ignition: first-boot provisioning from a declarative config."""
