"""Errors of models: matrices, levels, bands, orbitals, and violations of symmetry."""
