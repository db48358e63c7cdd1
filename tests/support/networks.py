"""Untrained networks for tests, with random scaling, and structures for them."""

from dataclasses import replace

import torch
from ase import Atoms
from ase.build import molecule

import workbench as wb
from workbench.engines.initial_guess import EXPONENTS
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.irreps import BlockIrreps
from workbench.models.config import GUESSES, ModelConfig
from workbench.models.scaling import BlockScaler, Scaling
from workbench.models.twostage import TwoStageModel

SPINOR_BASIS = wb.Basis("toy", {6: (0, 1), 83: (0, 0, 1, 1, 2)}, spinor=True)


SPINOR_CONFIG = ModelConfig(
    guess="none",
    cutoff=6.0,
    lmax=2,
    pseudo_lmax=2,
    channels=6,
    layers=2,
    radial=6,
    readout=24,
    pair_readout=12,
    refiner_width=16,
    refiner_heads=2,
    refiner_layers=1,
    refiner_frame="local",
)


BASIS = Basis("def2-svp", {1: (0, 0, 1), 6: (0, 0, 0, 1, 1, 2), 8: (0, 0, 0, 1, 1, 2)})


SMALL = ModelConfig(
    guess="orbitals",
    cutoff=10.0,
    channels=8,
    layers=2,
    radial=8,
    readout=16,
    refiner_width=32,
    refiner_layers=1,
)


def random_model(config=SMALL, seed=0, basis=BASIS):
    """An untrained model with random scaling, in the shapes that a fit gives."""
    torch.manual_seed(seed)
    irreps = BlockIrreps(basis)
    scaler, n = BlockScaler(irreps), len(basis.elements)
    size, paths = irreps.size, len(irreps.paths)

    def per_path(rows, index):
        return torch.rand(rows, paths, dtype=torch.float64)[:, index]

    pair_mean = torch.zeros(n * n, size, dtype=torch.float64)  # symmetric under i <-> j
    node_mean = torch.rand(n, size, dtype=torch.float64) * torch.tensor(scaler.node_invariant)
    blocks = irreps.decode(node_mean)
    scaling = Scaling(
        irreps.encode(blocks + blocks.mT),
        per_path(n, irreps.path_index),
        pair_mean,
        per_path(n * n, scaler.framed_path),
        per_path(n, irreps.path_index),
        per_path(n * n, irreps.path_index),
    )
    if config.guess != "none":
        charges = torch.rand(n, len(EXPONENTS), dtype=torch.float64)
        scaling = scaler.fit_guess(scaling, [scaling] * GUESSES[config.guess], charges)
    return TwoStageModel(basis, config, scaling)


def refining_model(config=SMALL, basis=BASIS):
    """A random model whose stage 2 has a non-zero correction."""
    model = random_model(config, basis=basis)
    with torch.no_grad():
        for head in (model.refiner.pair_head, model.refiner.node_head):
            head.readout.shared[0].normal_()
    return model


def one_handed_model(basis=BASIS):
    """A model whose stage 2, in right-handed local frames, obeys rotations but no inversion."""
    config = replace(SMALL, guess="none", refiner_frame="local", refiner_mirrors=False)
    return refining_model(config, basis).to(torch.float64)


def distorted_ethanol() -> Atoms:
    """Ethanol with random displacements of about 0.1 A: chiral, without any symmetry."""
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.1, seed=1)
    return atoms
