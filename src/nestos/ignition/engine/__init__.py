"""The stages that carry a config out, and the providers it comes from."""
