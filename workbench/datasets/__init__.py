"""Labelled structures on disk: written, read, split, labelled, and other programs' files."""
