"""Virtual machines for people and for tests."""
