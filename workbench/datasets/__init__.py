"""Labelled structures on disk: label jobs, dataset files, splits, and other programs' formats."""
