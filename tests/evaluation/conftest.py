"""Predictors whose symmetry is known, for tests of errors under rotations."""

import pytest

import workbench as wb
from workbench.course.bench import preferred_axis
from workbench.engines.pyscf_molecules import overlap
from workbench.evaluation.rotation_errors import RotationErrors


@pytest.fixture(scope="module")
def exact(water):
    """Equivariant to rounding, a few milliseconds: the overlap, read as if it were in eV."""
    basis = wb.reference(water, basis="sto-3g", xc="hf").H.basis
    return lambda atoms: overlap(atoms, basis)


@pytest.fixture(scope="module")
def errors(water, exact):
    toy = preferred_axis(exact, (1, 2, 2), strength=0.5)
    return RotationErrors(water, predictors={"exact": exact, "toy": toy})
