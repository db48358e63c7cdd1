"""The rotation lab with a crystal."""

import numpy as np

import workbench as wb
from tests.support.crystal import integrals, sheet
from workbench.widgets.parts.readout import heading


def test_the_lab_rotates_a_crystal():
    """Matrices are shown at k = 0; a block is chosen with the cell of its column atom."""
    atoms = sheet()
    H, S = (integrals(atoms, k, "sto-3g", 6.0) for k in ("int1e_kin", "int1e_ovlp"))
    reference = wb.Reference(H, S, energy=0.0, n_electrons=8)
    lab = wb.RotationLab(
        atoms,
        reference=reference,
        predictors={"near": lambda a: integrals(a, "int1e_kin", "sto-3g", 4.0)},
    )
    R = wb.rotation((1, 1, 0), 40)
    lab.turn_to(R)
    np.testing.assert_allclose(lab.matrices.painted()[0], H.rotate(R).at_gamma(), atol=1e-4)
    assert lab.snapshot.symmetry["near"].max_mev < 1e-6
    np.testing.assert_allclose(lab.snapshot.levels["reference"], wb.levels(H, S), atol=1e-9)
    assert "at k = 0" in heading(lab.experiment)
    lab.pick(0, 1)
    cells = [value for _, value in lab.block.cell.options]
    assert cells[0] == (0, 0, 0)
    lab.block.cell.value = cells[3]
    block = H.rotate(R).block(0, 1, cells[3])
    np.testing.assert_allclose(lab.block.heat.painted()[0], block, atol=1e-4)
    far = cells[-1]
    assert np.abs(H.block(0, 1, far)).max() > 0
    lab.block.quantity.value, lab.block.cell.value = "near", far
    np.testing.assert_array_equal(lab.block.heat.painted()[0], 0)  # beyond the cutoff of "near"
    lab.pick(0, 0)
    assert lab.block.cell.value == (0, 0, 0)
    lab.close()
