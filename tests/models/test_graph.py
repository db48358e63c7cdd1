"""Graphs: pairs, partners, cutoffs, batches, and the smallest structures."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from torch_geometric.data import Batch

from workbench.hamiltonians.pairs import all_pairs
from workbench.models.graph import build, matrix_edges


def test_all_pairs_of_a_molecule_in_the_order_of_block_matrices():
    graph = build(molecule("CH3CH2OH"), None)
    edges, shifts = matrix_edges(graph)
    np.testing.assert_array_equal(edges, all_pairs(9))
    assert not shifts.any()


def test_edge_vectors_and_partners():
    atoms = molecule("CH3CH2OH")
    graph = build(atoms, 2.0)
    i, j = graph.edge_index.numpy()
    np.testing.assert_allclose(graph.edge_vec, atoms.positions[j] - atoms.positions[i])
    assert (graph.edge_vec.norm(dim=1) < 2.0).all()
    assert (graph.edge_index[:, graph.reverse] == graph.edge_index.flip(0)).all()


@pytest.mark.parametrize("positions", [[[0, 0, 0]], [[0, 0, 0], [0, 0, 50.0]]])
def test_single_and_disconnected_atoms_have_no_pairs(positions):
    graph = build(Atoms("H" * len(positions), positions), 10.0)
    assert graph.edge_index.shape == (2, 0)
    assert graph.z.shape == (len(positions),)


def test_a_crystal_has_pairs_with_periodic_images():
    graph = build(bulk("Si"), 2.5)
    assert graph.edge_index.shape[1] == 8
    assert (graph.shift[graph.reverse] == -graph.shift).all()
    torch.testing.assert_close(graph.edge_vec[graph.reverse], -graph.edge_vec)
    with pytest.raises(ValueError, match="needs a cutoff"):
        build(bulk("Si"), None)


def test_batches_renumber_partners():
    graphs = [build(molecule(name), None) for name in ("H2O", "CH4", "H2O")]
    batch = Batch.from_data_list(graphs)
    assert (batch.edge_index[:, batch.reverse] == batch.edge_index.flip(0)).all()
