"""Hamiltonians as block matrices: conventions, rotations, irreps, and what their spectra say."""
