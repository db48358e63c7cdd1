"""Hamiltonians as block matrices: conventions, rotations, irreps, levels and bands."""
