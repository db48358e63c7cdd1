"""How do outputs of both stages become matrix blocks in eV, and blocks become targets?

Each step of the method is written here once. A step acts on each atom or pair separately, so it
serves whole structures and the chunks of large ones (``large_structures``) alike. With ``c`` the
coefficients of a readout, ``s`` their scale in eV, ``f`` the envelope (1 for atoms), ``decode`` the
change from irreps to a block and ``D`` the rotation from an edge frame or a local frame back to the
global frame:

- stage 1: ``h = D decode(s f c) D^T``; on-site ``D = 1``;
- stage 1's correction as stage 2 reads it: the same in units of the scale, ``s = 1``;
- stage 2: ``h = D decode(q s f c) D^T`` with the confidence ``q`` of the local frame, and ``s`` the
  RMS of the part that stage 1 leaves; in the global frame ``q = 1`` and ``D = 1``.

The last step, ``H = (h + h^+) / 2``, needs the partner of each pair: see ``blocks``.
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
    """The way from local frames back to the global frame, for atoms or for pairs.

    Attributes:
        rotation: from the local frames to the global frame, one per item.
        confidence: (items,) confidence of the local frames, from 0 to 1.
    """

    rotation: BlockRotation
    confidence: Tensor


class BlockCodec:
    """Coefficients of irreps <-> blocks in eV, for one basis and the scales of one training set.

    Attributes:
        irreps: irreps of the blocks of the basis.
        scaler: converts between coefficients in the edge frame and blocks.
        scaling: means and scales in eV; training replaces them when it measures them.
    """

    def __init__(self, irreps: BlockIrreps, scaling: Scaling) -> None:
        self.irreps, self.scaler, self.scaling = irreps, BlockScaler(irreps), scaling

    # ---- the starting point -----------------------------------------------------------------

    def start(self, graph: Graph, geometry: Geometry) -> Blocks:
        """The Hamiltonian that the networks correct: guess plus mean of the rest, eV, float64."""
        means = Blocks(self.mean_atoms(geometry.node_class), self.mean_pairs(geometry))
        if not graph.node_guess.shape[1]:
            return means
        return means + Blocks(graph.node_guess[:, 0], graph.pair_guess[:, 0])

    def mean_atoms(self, node_class: Tensor) -> Tensor:
        """Mean on-site blocks (N, [Q,] M, M), eV, float64."""
        return self.irreps.decode(self.scaling.node_mean.index_select(0, node_class))

    def mean_pairs(self, geometry: Geometry) -> Tensor:
        """Mean pair blocks (P, [Q,] M, M) times the envelope, global frame, eV, float64."""
        mean = self.scaling.pair_mean.index_select(0, geometry.pair_class)
        return self.scaler.to_global_frame(mean * geometry.envelope, geometry)

    # ---- stage 1 ----------------------------------------------------------------------------

    def stage1_blocks(self, out: Stage1Output, reverse: Tensor, geometry: Geometry) -> Blocks:
        """Stage 1's correction to `start`, eV, in the global frame, hermitian."""
        nodes = self.stage1_atoms(out.node_coefficients, geometry.node_class)
        return Blocks(nodes, self.stage1_pairs(out.pair_coefficients, geometry)).symmetric(reverse)

    def stage1_atoms(self, coefficients: Tensor, node_class: Tensor) -> Tensor:
        """Coefficients (N, F) -> on-site blocks (N, [Q,] M, M), eV, not yet hermitian."""
        scale = self.scaling.node_scale.to(coefficients).index_select(0, node_class)
        return self.irreps.decode(coefficients * scale)

    def stage1_pairs(self, coefficients: Tensor, geometry: Geometry) -> Tensor:
        """Coefficients (P, F), edge frame -> pair blocks (P, [Q,] M, M), eV, not yet hermitian."""
        scale = self.scaling.pair_scale.to(coefficients).index_select(0, geometry.pair_class)
        scaled = coefficients * scale * geometry.envelope.to(coefficients)
        return self.scaler.to_global_frame(scaled, geometry)

    def stage1_targets(self, blocks: Blocks, geometry: Geometry) -> tuple[Tensor, Tensor]:
        """The inverse of `stage1_blocks`: coefficients (N, F) and (P, F) of hermitian blocks, eV.

        A coefficient without a scale is forbidden by symmetry; its target is 0.
        """
        nodes = self.irreps.encode(blocks.nodes)
        nodes = nodes * inverse(self.scaling.node_scale)[geometry.node_class]
        pairs = self.scaler.to_frame(rotate_blocks(blocks.pairs, geometry.basis))
        scale = self.scaling.pair_scale[geometry.pair_class] * geometry.envelope
        return nodes, pairs * inverse(scale)

    # ---- stage 1's correction as stage 2 reads it -------------------------------------------

    def readable_atoms(self, coefficients: Tensor, node_class: Tensor) -> Tensor:
        """Coefficients (N, F), with zero where symmetry forbids an element and the scale is 0."""
        known = self.scaling.node_scale > 0
        return coefficients * known.index_select(0, node_class)

    def readable_pairs(self, coefficients: Tensor, geometry: Geometry) -> Tensor:
        """The same for pairs (P, F), times the envelope, which is zero at the cutoff."""
        known = (self.scaling.pair_scale > 0).index_select(0, geometry.pair_class)
        return coefficients * (known * geometry.envelope.to(coefficients))

    # ---- stage 2 ----------------------------------------------------------------------------

    def stage2_blocks(self, out: tuple[Tensor, Tensor], tokens: Tokens, reverse: Tensor) -> Blocks:
        """Stage 2's correction, eV, in the global frame, hermitian."""
        nodes = self.stage2_atoms(out[0], tokens.node_class, atom_frames(tokens))
        pairs = self.stage2_pairs(out[1], tokens.envelope, tokens.pair_class, pair_frames(tokens))
        return Blocks(nodes, pairs).symmetric(reverse)

    def stage2_atoms(self, out: Tensor, node_class: Tensor, frames: ToGlobal | None) -> Tensor:
        """Output (N, F) of stage 2 -> on-site blocks (N, [Q,] M, M), eV, not yet hermitian."""
        return self._stage2(out, self.scaling.node_residual, node_class, frames)

    def stage2_pairs(
        self, out: Tensor, envelope: Tensor, pair_class: Tensor, frames: ToGlobal | None
    ) -> Tensor:
        """Output (P, F) of stage 2 -> pair blocks (P, [Q,] M, M), eV, not yet hermitian."""
        return self._stage2(out * envelope, self.scaling.pair_residual, pair_class, frames)

    def _stage2(
        self, out: Tensor, residual: Tensor, classes: Tensor, frames: ToGlobal | None
    ) -> Tensor:
        out = scale_by_confidence(out, None if frames is None else frames.confidence)
        blocks = self.irreps.decode(out * residual.to(out).index_select(0, classes))
        return blocks if frames is None else rotate_blocks(blocks, frames.rotation)

    def stage2_targets(self, blocks: Blocks, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """The inverse of `stage2_blocks` where the confidence is 1: coefficients (N, F) and (P, F).

        Targets are not divided by the confidence: it is 0 where a local frame is undefined.
        """
        if tokens.node_to_global is not None and tokens.pair_to_global is not None:
            blocks = Blocks(
                rotate_blocks(blocks.nodes, tokens.node_to_global.inverse),
                rotate_blocks(blocks.pairs, tokens.pair_to_global.inverse),
            )
        nodes, pairs = self.irreps.encode(blocks.nodes), self.irreps.encode(blocks.pairs)
        scale = self.scaling.pair_residual[tokens.pair_class] * tokens.envelope
        nodes = nodes * inverse(self.scaling.node_residual)[tokens.node_class]
        return nodes, pairs * inverse(scale)


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
