"""Inputs made at random, in great number, for code that must survive anything."""
