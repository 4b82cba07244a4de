"""Live media after they were made: what is embedded in them, and what is taken out of them."""
