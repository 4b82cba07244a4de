"""What a node believes of release metadata, and why: signatures, versions and expiry checked before use."""
