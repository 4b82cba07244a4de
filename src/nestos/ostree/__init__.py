"""A thin typed layer over the ``ostree`` command: repositories, commits, signatures, checkouts, pulls."""
