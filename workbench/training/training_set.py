"""The labelled structures of a split, as the phases of training take them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from threading import current_thread, main_thread
from typing import cast

import numpy as np
import torch
from ase import Atoms
from joblib import Parallel, delayed, parallel_config
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from workbench.datasets.dataset import Dataset
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.irreps import BlockIrreps
from workbench.hamiltonians.spin_parts import odd_part
from workbench.models.blocks import Blocks, guessed_graph, target_blocks
from workbench.models.config import ModelConfig
from workbench.models.graph import Graph
from workbench.storage.mapped_tensor import MappedTensor
from workbench.training.batching import Selection, Store
from workbench.training.config import TrainingError

CHUNK = 64
"""Structures evaluated at once outside training, unless they are large."""

CHUNK_PAIRS = 1 << 15
"""Pairs of atoms evaluated at once: a pair's features take kilobytes."""

READ_AT_ONCE = 16
"""Matrices read from a dataset at once."""

MANY = 1000
"""Structures from which on it pays to start processes for their guesses."""

MAGNETIC_EV = 0.01
"""An element odd under time reversal above it is no noise of an engine."""


@dataclass(frozen=True)
class TrainingSet:
    """The structures of a split and their Hamiltonians' blocks, eV, float64.

    Many blocks lie in a file (`gathering`), so that they are taken some structures at a time.
    """

    store: Store
    blocks: Blocks

    @classmethod
    def read(
        cls,
        dataset: Dataset,
        indices: NDArray[np.int64],
        config: ModelConfig,
        basis: Basis,
        charges: Tensor,
    ) -> TrainingSet:
        """Read a split in the frame of a basis; ``charges`` make the guess, see `guess_charges`."""
        # A bar of a thread would appear below whatever cell of a notebook runs now.
        silent = config.guess == "none" or current_thread() is not main_thread()
        made = _graphs([dataset.atoms(int(i)) for i in indices], config, basis, charges)
        graphs = list(tqdm(made, "guess", len(indices), disable=silent, leave=False, delay=5))
        irreps = BlockIrreps(basis, config.time_reversal)
        counts = []
        nodes = MappedTensor(sum(g.z.shape[0] for g in graphs))
        pairs = MappedTensor(sum(g.edge_index.shape[1] for g in graphs))
        # A few at a time: all matrices of a set of large crystals are more than memory holds.
        some = (indices[k : k + READ_AT_ONCE] for k in range(0, len(indices), READ_AT_ONCE))
        matrices = (h.in_basis(basis) for own in some for h in dataset.hamiltonians(own))
        for H, graph in zip(matrices, graphs, strict=True):
            if basis.spinor and config.time_reversal:
                _check_time_reversal(dataset, H)
            counts.append(int(H.mask.sum()))
            blocks = target_blocks(H, graph, irreps)
            nodes.add(blocks.nodes)
            pairs.add(blocks.pairs)
        return cls(Store(graphs, torch.tensor(counts)), Blocks(nodes.tensor, pairs.tensor))

    def to(self, device: torch.device) -> TrainingSet:
        """The same on a device."""
        return TrainingSet(self.store.to(device), self.blocks.to(device))

    def chunks(self) -> Iterator[Selection]:
        """All structures, some at a time, in order."""
        size = min(CHUNK, CHUNK_PAIRS // max(1, int(self.store.pair_count.max())))
        for indices in torch.arange(len(self.store)).split(max(1, size)):
            yield self.store.select(indices.to(self.store.elements.device))


def _graphs(
    structures: Sequence[Atoms], config: ModelConfig, basis: Basis, charges: Tensor
) -> Iterable[Graph]:
    """Their graphs; many guesses, some 20 ms each, are made on all cores."""
    if config.guess == "none" or len(structures) < MANY:
        return (guessed_graph(atoms, config, basis, charges) for atoms in structures)
    jobs = (delayed(guessed_graph)(atoms, config, basis, charges) for atoms in structures)
    with parallel_config("loky", inner_max_num_threads=1):
        return cast("Iterable[Graph]", Parallel(n_jobs=-1, return_as="generator")(jobs))


def _check_time_reversal(dataset: Dataset, H: BlockMatrix) -> None:
    """Refuse magnetic data, of which a model with time reversal would lose a part unseen."""
    largest = odd_part(H.values)
    if largest > MAGNETIC_EV:
        raise TrainingError(
            f"{dataset.path} has elements that time reversal flips, up to {largest:.2g} eV, as "
            "magnetic systems have: set time_reversal=False."
        )
