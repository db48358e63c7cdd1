"""Errors of models: of matrices, levels, bands and orbitals, and how far symmetry is violated."""
