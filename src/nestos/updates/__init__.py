"""Releases, the update graph made of them, and the server that hands it out."""
