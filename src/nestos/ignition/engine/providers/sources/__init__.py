"""What platforms have in common: the places where they keep configs, and the forms in which they do."""
