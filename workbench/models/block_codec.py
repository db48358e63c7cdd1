"""From the outputs of both stages to matrix blocks in eV, and back to the targets of the readouts.

Each step of the method is written here once. A step acts on atoms or on pairs one by one, so it
serves whole structures and the chunks of large ones (``large_structures``) alike:

- stage 1: scale per species pair and irrep, edge frame to global frame;
- what stage 2 reads of stage 1's correction: the same in units of the scale;
- stage 2: confidence of the local frame, scale of what stage 1 leaves, local to global frame.

Making blocks hermitian needs the partner of a pair and is left to ``blocks``.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from workbench.hamiltonians.irreps import BlockIrreps
from workbench.models.blocks import Blocks
from workbench.models.geometry import Geometry
from workbench.models.graph import Graph
from workbench.models.local_frames import scale_by_confidence
from workbench.models.scaling import BlockScaler, Scaling, inverse
from workbench.models.stage1 import Stage1Output
from workbench.models.tensor_rotations import BlockRotation, rotate_blocks
from workbench.models.tokens import Tokens


class ToGlobal(NamedTuple):
    """Where atoms or pairs have local frames.

    Attributes:
        rotation: from the local frames back to the global frame, one per item.
        confidence: (items,) of the local frames, from 0 to 1.
    """

    rotation: BlockRotation
    confidence: Tensor


class BlockCodec:
    """Coefficients of irreps <-> blocks in eV, for one basis and the scales of one training set.

    Attributes:
        irreps: of the basis's blocks.
        scaler: changes between coefficients in the edge frame and blocks.
        scaling: means and scales in eV; replaced as training measures them.
    """

    def __init__(self, irreps: BlockIrreps, scaling: Scaling) -> None:
        self.irreps, self.scaler, self.scaling = irreps, BlockScaler(irreps), scaling

    # ---- what the networks correct ----------------------------------------------------------

    def start(self, graph: Graph, geometry: Geometry) -> Blocks:
        """The initial guess and the mean of the rest, eV, float64: what the networks correct."""
        means = Blocks(self.mean_atoms(geometry.node_class), self.mean_pairs(geometry))
        if not graph.node_guess.shape[1]:
            return means
        return means + Blocks(graph.node_guess[:, 0], graph.pair_guess[:, 0])

    def mean_atoms(self, node_class: Tensor) -> Tensor:
        """Mean on-site blocks (N, [Q,] M, M), eV, float64."""
        return self.irreps.decode(self.scaling.node_mean.index_select(0, node_class))

    def mean_pairs(self, geometry: Geometry) -> Tensor:
        """Mean pair blocks (P, [Q,] M, M) in the global frame, eV, float64."""
        mean = self.scaling.pair_mean.index_select(0, geometry.pair_class)
        return self.scaler.to_global_frame(mean * geometry.envelope, geometry)

    # ---- stage 1 ----------------------------------------------------------------------------

    def stage1_blocks(self, out: Stage1Output, reverse: Tensor, geometry: Geometry) -> Blocks:
        """Stage 1's correction to the start, eV, in the global frame, hermitian."""
        nodes = self.stage1_atoms(out.node_coefficients, geometry.node_class)
        return Blocks(nodes, self.stage1_pairs(out.pair_coefficients, geometry)).symmetric(reverse)

    def stage1_atoms(self, coefficients: Tensor, node_class: Tensor) -> Tensor:
        """On-site blocks, eV, of coefficients (N, F) in units of their scale; not yet hermitian."""
        scale = self.scaling.node_scale.to(coefficients).index_select(0, node_class)
        return self.irreps.decode(coefficients * scale)

    def stage1_pairs(self, coefficients: Tensor, geometry: Geometry) -> Tensor:
        """Pair blocks, eV, of coefficients (P, F) in the edge frame; not yet hermitian."""
        scale = self.scaling.pair_scale.to(coefficients).index_select(0, geometry.pair_class)
        scaled = coefficients * scale * geometry.envelope.to(coefficients)
        return self.scaler.to_global_frame(scaled, geometry)

    def stage1_targets(self, blocks: Blocks, geometry: Geometry) -> tuple[Tensor, Tensor]:
        """Coefficients (N, F) and (P, F) that stage 1 should give for corrections in eV."""
        nodes = self.irreps.encode(blocks.nodes)
        nodes = nodes * inverse(self.scaling.node_scale)[geometry.node_class]
        pairs = self.scaler.to_frame(rotate_blocks(blocks.pairs, geometry.basis))
        scale = self.scaling.pair_scale[geometry.pair_class] * geometry.envelope
        return nodes, pairs * inverse(scale)

    # ---- what stage 2 reads of stage 1 ------------------------------------------------------

    def readable_atoms(self, coefficients: Tensor, node_class: Tensor) -> Tensor:
        """(N, F) the coefficients that have a scale; those that symmetry forbids are zero."""
        known = self.scaling.node_scale > 0
        return coefficients * known.index_select(0, node_class)

    def readable_pairs(self, coefficients: Tensor, geometry: Geometry) -> Tensor:
        """(P, F) the same of pairs, which fade at the cutoff."""
        known = (self.scaling.pair_scale > 0).index_select(0, geometry.pair_class)
        return coefficients * (known * geometry.envelope.to(coefficients))

    # ---- stage 2 ----------------------------------------------------------------------------

    def stage2_blocks(self, out: tuple[Tensor, Tensor], tokens: Tokens, reverse: Tensor) -> Blocks:
        """Stage 2's correction to the baseline, eV, in the global frame, hermitian."""
        nodes = self.stage2_atoms(out[0], tokens.node_class, atom_frames(tokens))
        pairs = self.stage2_pairs(out[1], tokens.envelope, tokens.pair_class, pair_frames(tokens))
        return Blocks(nodes, pairs).symmetric(reverse)

    def stage2_atoms(self, out: Tensor, node_class: Tensor, frames: ToGlobal | None) -> Tensor:
        """On-site blocks, eV, of stage 2's output (N, F) for atoms; not yet hermitian."""
        return self._stage2(out, self.scaling.node_residual, node_class, frames)

    def stage2_pairs(
        self, out: Tensor, envelope: Tensor, pair_class: Tensor, frames: ToGlobal | None
    ) -> Tensor:
        """Pair blocks, eV, of stage 2's output (P, F) for pairs; not yet hermitian."""
        return self._stage2(out * envelope, self.scaling.pair_residual, pair_class, frames)

    def _stage2(
        self, out: Tensor, residual: Tensor, classes: Tensor, frames: ToGlobal | None
    ) -> Tensor:
        out = scale_by_confidence(out, None if frames is None else frames.confidence)
        blocks = self.irreps.decode(out * residual.to(out).index_select(0, classes))
        return blocks if frames is None else rotate_blocks(blocks, frames.rotation)

    def stage2_targets(self, blocks: Blocks, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """Coefficients (N, F) and (P, F) that stage 2 should give for corrections in eV."""
        if tokens.node_to_global is not None and tokens.pair_to_global is not None:
            blocks = Blocks(
                rotate_blocks(blocks.nodes, tokens.node_to_global.inverse),
                rotate_blocks(blocks.pairs, tokens.pair_to_global.inverse),
            )
        nodes, pairs = self.irreps.encode(blocks.nodes), self.irreps.encode(blocks.pairs)
        scale = self.scaling.pair_residual[tokens.pair_class] * tokens.envelope
        return nodes * inverse(self.scaling.node_residual)[tokens.node_class], pairs * inverse(
            scale
        )


def atom_frames(tokens: Tokens) -> ToGlobal | None:
    """The local frames of the atoms; None in the global frame."""
    if tokens.node_to_global is None or tokens.node_confidence is None:
        return None
    return ToGlobal(tokens.node_to_global, tokens.node_confidence)


def pair_frames(tokens: Tokens) -> ToGlobal | None:
    """The local frames of the pairs; None in the global frame."""
    if tokens.pair_to_global is None or tokens.pair_confidence is None:
        return None
    return ToGlobal(tokens.pair_to_global, tokens.pair_confidence)
