"""What the files stage writes: accounts, nodes, units, the result."""
