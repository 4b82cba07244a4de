"""NestOS: an immutable, container-optimised operating system and the tools that build and run it."""

__version__ = "0.1.0"
