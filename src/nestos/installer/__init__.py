"""Putting the system on a disk. Standard library only."""
