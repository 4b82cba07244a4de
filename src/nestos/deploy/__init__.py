"""Transactions on a node: status, upgrade, deploy, rollback and what happens at boot."""
