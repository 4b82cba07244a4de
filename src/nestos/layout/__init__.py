"""Turns a freshly installed root into an immutable tree; one file a concern.

Each is a function of the tree's folder. A compose uses all of them, a node those that layered packages need again.
"""
