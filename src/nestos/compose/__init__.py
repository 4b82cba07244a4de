"""From a manifest to a tree, a signed commit and the artifacts made of it."""
