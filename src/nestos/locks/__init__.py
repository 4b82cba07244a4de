"""The FleetLock server: groups with slots, leases that expire, holders that can be listed and freed."""
