"""A thin typed layer over the ``ostree`` command (2025.2): a repository, its commits, and what goes wrong with them."""
