"""Turns a freshly installed root into an immutable tree; one file a concern, each a function of the tree's folder."""
