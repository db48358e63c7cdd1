"""Large structures predicted in chunks: the same prediction for any size of the chunks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import workbench as wb
from tests.support.crystal import sheet
from tests.support.networks import SPINOR_BASIS as SPINOR
from tests.support.networks import SPINOR_CONFIG, refining_model
from workbench.models import large_structures, twostage
from workbench.models.large_structures import chunks

SCALAR = wb.Basis("toy", {6: (0, 1), 8: (0, 1)})
CASES = {
    "global frame": (SCALAR, {"refiner_frame": "global"}),
    "local frames": (SCALAR, {}),
    "no inversion": (SCALAR, {"refiner_mirrors": False}),
    "spin": (replace(SPINOR, shells={6: (0, 1), 8: (0, 1)}), {}),
    "no baseline": (SCALAR, {"refiner_baseline": False, "refiner_frame": "global"}),
}


def random_model(basis, **changes):
    """An untrained model with a non-zero correction, float64."""
    return refining_model(replace(SPINOR_CONFIG, cutoff=5.0, **changes), basis).to(torch.float64)


def crystal():
    atoms = sheet().repeat((3, 2, 1))
    atoms.symbols[[1, 4, 7]] = "O"
    atoms.rattle(0.1, seed=3)
    return atoms


@pytest.mark.parametrize("case", CASES)
def test_chunks_give_the_prediction_of_the_whole_structure(case, monkeypatch):
    basis, changes = CASES[case]
    model, atoms = random_model(basis, **changes), crystal()
    whole = model.predict(atoms)
    assert (whole.refined - whole.baseline).max_abs() > 0.01
    monkeypatch.setattr(twostage, "LARGE", 10)
    monkeypatch.setattr(large_structures, "PAIRS_AT_ONCE", 40)
    chunked = model.predict(atoms)
    for stage in ("baseline", "refined"):
        one, other = getattr(whole, stage), getattr(chunked, stage)
        assert (one - other).max_abs() < 1e-9 * one.max_abs()
    torch.testing.assert_close(chunked.features.node, whole.features.node)
    assert chunked.features.edge is None
    assert (model.stage1(atoms) - whole.baseline).max_abs() < 1e-9 * whole.baseline.max_abs()


def test_chunks_contain_each_pair_once():
    model, atoms = random_model(SCALAR), crystal()
    graph = model.graph(atoms)
    for size in (1, 50, 10_000):
        divided = chunks(graph, size)
        assert [a for c in divided for a in c.atoms] == list(range(len(atoms)))
        assert torch.equal(torch.cat([c.graph.edge_index for c in divided], 1), graph.edge_index)
        for chunk in divided:
            assert set(chunk.graph.edge_index[0].tolist()) <= set(chunk.atoms)
    assert len(chunks(graph, 50)) == 3
    assert len(chunks(graph, 10_000)) == 1


def test_an_average_over_orientations_of_a_large_structure_is_refused(monkeypatch):
    model = random_model(SCALAR, refiner_frame="global")
    monkeypatch.setattr(twostage, "LARGE", 10)
    with pytest.raises(ValueError, match="symmetrise=1"):
        model.predict(crystal(), symmetrise=4)
    assert np.isfinite(model.predict(crystal()).refined.values).all()
