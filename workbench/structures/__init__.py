"""Atomic structures: loading, rotating, building bilayers, and sampling geometries."""
