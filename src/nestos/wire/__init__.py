"""Pure types of published formats."""
