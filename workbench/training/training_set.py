"""The labelled structures of a split, as the training objectives use them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
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
from workbench.training.element_counts import ElementCounts

CHUNK = 64
"""Structures evaluated at once outside gradient steps, fewer if they are large."""

CHUNK_PAIRS = 1 << 15
"""Pairs of atoms evaluated at once; the features of one pair take kilobytes of memory."""

READ_AT_ONCE = 16
"""Matrices read from a dataset at once."""

MANY = 1000
"""Smallest number of structures whose guesses are computed by several processes."""

MAGNETIC_EV = 0.01
"""Elements odd under time reversal above this, eV, are not numerical noise of an engine."""


@dataclass(frozen=True)
class TrainingSet:
    """The structures of a split and the blocks of their Hamiltonians, eV, float64.

    Blocks that exceed the memory limit are in a file (`storage.mapped_tensor`) and are therefore
    used some structures at a time.

    Attributes:
        store: the graphs.
        blocks: the labels.
        stored_blocks: number of blocks in the dataset, also of pairs beyond the cutoff.
        left_out: number of those beyond the cutoff that are not zero. No prediction has them.
    """

    store: Store
    blocks: Blocks
    stored_blocks: int
    left_out: int

    @classmethod
    def read(
        cls,
        dataset: Dataset,
        indices: NDArray[np.int64],
        config: ModelConfig,
        basis: Basis,
        charges: Tensor,
    ) -> TrainingSet:
        """Read the samples of a split.

        Args:
            dataset: the labelled structures.
            indices: of the samples.
            config: cutoff, guess and time reversal of the model.
            basis: in whose padded layout the blocks are stored.
            charges: of the guess, see `guess_charges`.

        Raises:
            TrainingError: if the model has time reversal and a matrix violates it.
        """
        # A thread's progress bar would appear below the notebook cell that runs at that moment.
        silent = config.guess == "none" or current_thread() is not main_thread()
        structures = [dataset.atoms(int(i)) for i in indices]
        graphs = list(
            tqdm(
                _graphs(structures, config, basis, charges),
                "guess",
                len(indices),
                disable=silent,
                leave=False,
                delay=5,
            )
        )
        irreps = BlockIrreps(basis, config.time_reversal)
        counts: list[ElementCounts] = []
        nodes = MappedTensor(sum(g.z.shape[0] for g in graphs))
        pairs = MappedTensor(sum(g.edge_index.shape[1] for g in graphs))
        # A few at a time: the matrices of all large crystals together exceed the memory.
        chunks = (indices[k : k + READ_AT_ONCE] for k in range(0, len(indices), READ_AT_ONCE))
        matrices = (h.in_basis(basis) for chunk in chunks for h in dataset.hamiltonians(chunk))
        for H, graph in zip(matrices, graphs, strict=True):
            if basis.spinor and config.time_reversal:
                _check_time_reversal(dataset, H)
            counts.append(ElementCounts.of(H, graph))
            blocks = target_blocks(H, graph, irreps)
            nodes.add(blocks.nodes)
            pairs.add(blocks.pairs)
        elements, beyond, stored, left_out = torch.tensor(
            [astuple(c) for c in counts], dtype=torch.float64
        ).T
        return cls(
            Store(graphs, elements, beyond),
            Blocks(nodes.tensor, pairs.tensor),
            int(stored.sum()),
            int(left_out.sum()),
        )

    def to(self, device: torch.device) -> TrainingSet:
        """The training set on a device."""
        return replace(self, store=self.store.to(device), blocks=self.blocks.to(device))

    @property
    def floor_ev(self) -> float:
        """Error of the blocks beyond the cutoff alone, eV: no model has a lower error on this set.

        It is their mean modulus over all elements, averaged over structures.
        """
        return float((self.store.beyond_ev / self.store.elements).mean())

    def chunks(self) -> Iterator[Selection]:
        """All structures in order, some at a time."""
        size = min(CHUNK, CHUNK_PAIRS // max(1, int(self.store.pair_count.max())))
        for indices in torch.arange(len(self.store)).split(max(1, size)):
            yield self.store.select(indices.to(self.store.elements.device))


def _graphs(
    structures: Sequence[Atoms], config: ModelConfig, basis: Basis, charges: Tensor
) -> Iterable[Graph]:
    """The graphs of structures; many guesses, some 20 ms each, are computed on all cores."""
    if config.guess == "none" or len(structures) < MANY:
        return (guessed_graph(atoms, config, basis, charges) for atoms in structures)
    jobs = (delayed(guessed_graph)(atoms, config, basis, charges) for atoms in structures)
    with parallel_config("loky", inner_max_num_threads=1):
        return cast("Iterable[Graph]", Parallel(n_jobs=-1, return_as="generator")(jobs))


def _check_time_reversal(dataset: Dataset, H: BlockMatrix) -> None:
    """Refuse magnetic data: a model with time reversal would silently drop their odd part."""
    largest = odd_part(H.values)
    if largest > MAGNETIC_EV:
        raise TrainingError(
            f"{dataset.path} has elements odd under time reversal, up to {largest:.2g} eV, as "
            "magnetic systems have: set time_reversal=False."
        )
