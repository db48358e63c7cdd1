"""Atomic structures: loading them, building bilayers, and sampling displaced geometries."""
