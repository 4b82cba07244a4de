"""The published config specifications: types, validation, upward translation, merging. Pure."""
