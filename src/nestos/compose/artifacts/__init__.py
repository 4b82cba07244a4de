"""What is made from a committed tree: one file per artifact."""
