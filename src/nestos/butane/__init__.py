"""Butane: a config for people, translated to an Ignition config."""
