"""A file becomes trusted tables."""
