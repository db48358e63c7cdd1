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
from workbench.hamiltonians.spin_parts import MAGNETIC_EV, odd_part
from workbench.models.blocks import Blocks, guessed_graph, target_blocks
from workbench.models.config import ModelConfig
from workbench.models.graph import Graph
from workbench.storage.stored_tensor import StoredTensor
from workbench.training.batching import Selection, Store
from workbench.training.config import TrainingError
from workbench.training.element_counts import ElementCounts
from workbench.training.gauge import multiples, shifts, without_shift

CHUNK = 64
"""Structures evaluated at once outside gradient steps, fewer if they are large."""

CHUNK_PAIRS = 1 << 15
"""Pairs of atoms evaluated at once; the features of one pair take kilobytes of memory."""

READ_AT_ONCE = 16
"""Matrices read from a dataset at once."""

MANY = 1000
"""Smallest number of structures whose guesses are computed by several processes."""


@dataclass(frozen=True)
class TrainingSet:
    """The structures of a split and the blocks of their Hamiltonians, eV, float64.

    Blocks that exceed the memory limit are in a file (`storage.stored_tensor`) and are therefore
    used some structures at a time.

    Attributes:
        store: the graphs.
        blocks: the labels.
        stored_blocks: number of blocks in the dataset, also of pairs beyond the cutoff.
        left_out: number of those beyond the cutoff that are not zero. No prediction has them.
        overlaps: dimensionless, if errors are free of gauge.
    """

    store: Store
    blocks: Blocks
    stored_blocks: int
    left_out: int
    overlaps: Blocks | None = None

    @classmethod
    def read(
        cls,
        dataset: Dataset,
        indices: NDArray[np.int64],
        config: ModelConfig,
        basis: Basis,
        charges: Tensor,
        overlaps: bool = False,
        progress: bool = True,
    ) -> TrainingSet:
        """Read the samples of a split.

        Args:
            dataset: the labelled structures.
            indices: of the samples.
            config: cutoff, guess and time reversal of the model.
            basis: in whose padded layout the blocks are stored.
            charges: of the guess, see `guess_charges`.
            overlaps: read the overlaps as well, for errors without gauge.
            progress: show a progress bar of the guess, where it takes long.

        Raises:
            DatasetError: if the overlap of a crystal is needed and not stored.
            TrainingError: if the model has time reversal and a matrix violates it.
        """
        # A thread's progress bar would appear below the notebook cell that runs at that moment.
        silent = config.guess == "none" or current_thread() is not main_thread() or not progress
        structures = [dataset.atoms(int(i)) for i in indices]
        built = tqdm(
            _graphs(structures, config, basis, charges),
            "guess",
            len(indices),
            disable=silent,
            leave=False,
            delay=5,
        )
        irreps = BlockIrreps(basis, config.time_reversal)
        counts: list[ElementCounts] = []
        graphs: list[Graph] = []
        read, guess = _Growing(), _Growing()
        # A few at a time: the matrices of all large crystals together exceed the memory.
        chunks = (indices[k : k + READ_AT_ONCE] for k in range(0, len(indices), READ_AT_ONCE))
        matrices = (h.in_basis(basis) for chunk in chunks for h in dataset.hamiltonians(chunk))
        for H, graph in zip(matrices, built, strict=True):
            if basis.spinor and config.time_reversal:
                _check_time_reversal(dataset, H)
            counts.append(ElementCounts.of(H, graph))
            read.add(target_blocks(H, graph, irreps))
            guess.add(Blocks(graph.node_guess, graph.pair_guess))
            graphs.append(_without_guess(graph))
        labels = read.blocks
        of_overlaps = None
        if overlaps:
            samples = zip(indices, graphs, strict=True)
            of_overlaps = _Growing()
            for i, graph in samples:
                S = dataset[int(i)].S.in_basis(basis)
                of_overlaps.add(target_blocks(S, graph, irreps))
        elements, beyond, stored, left_out = torch.tensor(
            [astuple(c) for c in counts], dtype=torch.float64
        ).T
        return cls(
            Store(graphs, elements, beyond, guess.blocks),
            labels,
            int(stored.sum()),
            int(left_out.sum()),
            None if of_overlaps is None else of_overlaps.blocks,
        )

    def to(self, device: torch.device) -> TrainingSet:
        """The training set on a device."""
        overlaps = None if self.overlaps is None else self.overlaps.to(device)
        store, blocks = self.store.to(device), self.blocks.to(device)
        return replace(self, store=store, blocks=blocks, overlaps=overlaps)

    @property
    def floor_ev(self) -> float:
        """Error of the blocks beyond the cutoff alone, eV: no model has a lower error on this set.

        It is their mean modulus over all elements, averaged over structures.
        """
        return float((self.store.beyond_ev / self.store.elements).mean())

    def gauge_free(self, error: Blocks, part: Selection) -> Blocks:
        """The error without each structure's shift if there are overlaps, else the error itself."""
        if self.overlaps is None:
            return error
        return without_shift(error, self._overlap(error, part), part)

    def shifts(self, error: Blocks, part: Selection) -> Tensor:
        """(B,) the shift of each structure's zero of energy, eV; needs overlaps."""
        return shifts(error, self._overlap(error, part), part)

    def shifted(self, blocks: Blocks, mu: Tensor, part: Selection) -> Blocks:
        """Blocks in eV plus mu S, with mu (B,) of each structure in eV; needs overlaps."""
        return blocks + multiples(self._overlap(blocks, part), mu, part)

    def _overlap(self, like: Blocks, part: Selection) -> Blocks:
        if self.overlaps is None:
            raise TrainingError("This training set was read without overlaps: pass overlaps=True.")
        return part.blocks(self.overlaps).to(like.nodes)

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


class _Growing:
    """The blocks of all structures, appended structure by structure."""

    def __init__(self) -> None:
        self._nodes, self._pairs = StoredTensor(), StoredTensor()

    def add(self, blocks: Blocks) -> None:
        """Append the blocks of the next structure."""
        self._nodes.add(blocks.nodes)
        self._pairs.add(blocks.pairs)

    @property
    def blocks(self) -> Blocks:
        """All blocks."""
        return Blocks(self._nodes.tensor, self._pairs.tensor)


def _without_guess(graph: Graph) -> Graph:
    """The graph of a structure whose guess is stored elsewhere."""
    graph.node_guess, graph.pair_guess = (
        graph.node_guess.new_empty(0),
        graph.pair_guess.new_empty(0),
    )
    return graph


def _check_time_reversal(dataset: Dataset, H: BlockMatrix) -> None:
    """Refuse magnetic data: a model with time reversal would silently drop their odd part."""
    largest = odd_part(H.values)
    if not largest <= MAGNETIC_EV:
        raise TrainingError(
            f"{dataset.path} has elements odd under time reversal, up to {largest:.2g} eV, as "
            "magnetic systems have: set time_reversal=False."
        )
