"""Benchmarks: the product's work beside that of the tools people know, in one run. None of them is a timed test."""
