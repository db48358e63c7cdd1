"""How are the blocks of a matrix laid out as tensors, and made hermitian?

Matrix blocks as tensors, and the graph that also stores the initial guess's blocks. A matrix is
hermitian when the block of each pair (i, j, T) is the adjoint of the block of its partner
(j, i, -T); the hermitian part of blocks ``h`` is ``(h + h^+) / 2``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from ase import Atoms
from torch import Tensor

from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.irreps import BlockIrreps
from workbench.hamiltonians.spin_parts import SIGNS, to_parts
from workbench.models.config import ModelConfig
from workbench.models.graph import Graph, build, matrix_edges


@dataclass(frozen=True)
class Blocks:
    """On-site blocks (N, M, M) and pair blocks (P, M, M); with spin (N or P, Q, M, M)."""

    nodes: Tensor
    pairs: Tensor

    def __add__(self, other: Blocks) -> Blocks:
        return Blocks(self.nodes + other.nodes, self.pairs + other.pairs)

    def __sub__(self, other: Blocks) -> Blocks:
        return Blocks(self.nodes - other.nodes, self.pairs - other.pairs)

    def to(self, like: Tensor | torch.device) -> Blocks:
        """The same blocks on a device, or in the type and on the device of a tensor."""
        return Blocks(self.nodes.to(like), self.pairs.to(like))

    def split(self, graphs: Sequence[Graph]) -> list[Blocks]:
        """The blocks of each graph, where several graphs were joined to one."""
        nodes = self.nodes.split([g.z.shape[0] for g in graphs])
        pairs = self.pairs.split([g.edge_index.shape[1] for g in graphs])
        return [Blocks(n, p) for n, p in zip(nodes, pairs, strict=True)]

    def symmetric(self, reverse: Tensor) -> Blocks:
        """The hermitian part ``(h + h^+) / 2``: each block averaged with its partner's adjoint.

        Args:
            reverse: (P,) index of the partner of each pair.
        """
        partners = self.pairs.index_select(0, reverse)
        return Blocks(hermitian_mean(self.nodes, self.nodes), hermitian_mean(self.pairs, partners))


def adjoint(blocks: Tensor) -> Tensor:
    """Adjoint of each block: the transpose of (items, M, M), spin parts with their signs.

    With spin (items, Q, M, M), part q of the adjoint is ``SIGNS[q]`` times the transpose of part q.
    """
    if blocks.ndim == 3:
        return blocks.mT
    signs = blocks.new_tensor(SIGNS[: blocks.shape[1]])
    return signs[:, None, None] * blocks.mT


def hermitian_mean(blocks: Tensor, partners: Tensor) -> Tensor:
    """Blocks (items, [Q,] M, M) averaged with the adjoints of their partners.

    The partner of a pair (i, j, T) is (j, i, -T); an on-site block is its own partner.
    """
    return (blocks + adjoint(partners)) / 2


def make_hermitian(pairs: Tensor, reverse: Tensor, at_once: int) -> None:
    """Average all pair blocks (P, [Q,] M, M) with their partners' adjoints, in place.

    Args:
        pairs: of one structure.
        reverse: (P,) the partner of each pair.
        at_once: pairs per step; the additional memory is proportional to it.
    """
    first = torch.nonzero(torch.arange(len(reverse), device=reverse.device) <= reverse)[:, 0]
    for chunk in first.split(at_once):
        mean = hermitian_mean(pairs[chunk], pairs[reverse[chunk]])
        pairs[chunk], pairs[reverse[chunk]] = mean, adjoint(mean)


def guessed_graph(atoms: Atoms, config: ModelConfig, basis: Basis, charges: Tensor) -> Graph:
    """The graph of a structure, with the initial guess if the model starts from one.

    The first guessed matrix is a Hamiltonian, eV; the second one is the density matrix of its
    occupied orbitals.

    Args:
        atoms: the structure.
        config: says which guess the model reads.
        basis: of the matrices.
        charges: (S, exponents) Gaussian charges of the atoms' potentials, e.
    """
    graph = build(atoms, config.longest_pair)
    if config.guess == "none":
        return graph
    from workbench.engines.initial_guess import guess  # PySCF takes a second to import

    orbitals = config.guess == "orbitals"
    edges = matrix_edges(graph)[0]
    matrices = guess(atoms, basis, charges.cpu().numpy(), orbitals=orbitals, edges=edges)
    blocks = [target_blocks(matrix, graph, BlockIrreps(basis)) for matrix in matrices]
    graph.node_guess = torch.stack([b.nodes for b in blocks], dim=1)
    graph.pair_guess = torch.stack([b.pairs for b in blocks], dim=1)
    return graph


def target_blocks(matrix: BlockMatrix, graph: Graph, irreps: BlockIrreps) -> Blocks:
    """The blocks of a reference matrix in the order of a graph.

    Pairs beyond the graph's cutoff are omitted. Pairs that the reference does not contain are zero.

    Args:
        matrix: the reference Hamiltonian, in the model's basis.
        graph: graph of the same atoms.
        irreps: irreps of the model's blocks; they determine which spin parts the blocks have.
    """
    n, values = graph.z.shape[0], matrix.over(*matrix_edges(graph))
    if irreps.basis.spinor:
        values = to_parts(values, irreps.shape[0])
    blocks = torch.from_numpy(values)
    return Blocks(blocks[:n], blocks[n:])
