"""Partitions, RAID arrays, encrypted volumes and file systems: found out about, planned, checked, then made."""
