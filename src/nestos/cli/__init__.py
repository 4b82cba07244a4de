"""The commands. The only layer that prints and exits."""
