"""How are the two stages connected? Graphs in; features, tokens and coefficients out.

This network knows tensors only; `workbench.models.twostage` adds atoms and matrices. It is run on
whole structures, also averaged over orientations (``orientation_average``), or chunk by chunk
(``large_structures``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from torch import Tensor, nn

from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.irreps import BlockIrreps
from workbench.models.block_codec import BlockCodec
from workbench.models.blocks import Blocks, guessed_graph
from workbench.models.config import ModelConfig
from workbench.models.geometry import Geometry, GeometryBuilder
from workbench.models.graph import Graph
from workbench.models.local_frames import (
    LocalFrames,
    LocalVectors,
    scale_non_scalars,
    to_local,
)
from workbench.models.scaling import Scaling, inverse
from workbench.models.stage1 import Stage1, Stage1Output
from workbench.models.stage2 import Stage2
from workbench.models.tensor_rotations import FeatureRotation, rotate_blocks
from workbench.models.tokens import Tokens


class TwoStageNetwork(nn.Module):
    """Stage 1 (``baseline``) and stage 2 (``refiner``) with the scaling of their targets.

    The names of the two attributes are part of the weights' names in checkpoints. Both stages run
    in the dtype of their weights: float32 by default, and stage 1 in float64 once its readouts are
    solved, since a solution depends on the last digits of the features.
    """

    def __init__(self, basis: Basis, config: ModelConfig, scaling: Scaling) -> None:
        """Untrained weights from torch's current seed.

        Raises:
            ValueError: if the features cannot reach every irrep of the basis, or a guess is
                combined with spin.
        """
        super().__init__()
        config.check(basis)
        self.basis, self.config = basis, config
        self.irreps = BlockIrreps(basis, config.time_reversal)
        self.codec = BlockCodec(self.irreps, scaling)
        self.geometry_builder = GeometryBuilder(self.irreps, config)
        self.baseline = Stage1(self.irreps, config)
        self.refiner = Stage2(self.irreps, config)
        self.local = LocalFrames(self.baseline.layout, self.irreps)

    @property
    def scaling(self) -> Scaling:
        """Means and scales of the targets, eV."""
        return self.codec.scaling

    @scaling.setter
    def scaling(self, scaling: Scaling) -> None:
        self.codec.scaling = scaling

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> TwoStageNetwork:
        """Also move the scaling, so that `to` moves all of the model; the scaling stays float64."""
        super()._apply(fn, recurse)
        self.scaling = self.scaling.to(self.device)
        return self

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device

    @property
    def is_local(self) -> bool:
        """Whether stage 2 works in local frames."""
        return self.config.refiner_frame == "local"

    @property
    def averages_inversion(self) -> bool:
        """Whether stage 2's correction is the mean over a structure and its inverted copy."""
        return self.is_local and self.config.refiner_mirrors

    def rotations(self, matrices: NDArray[np.float64], like: Tensor) -> FeatureRotation:
        """Rotations (B, 3, 3) for ``Tokens.rotated``, dtype and device of ``like``."""
        return FeatureRotation.of(matrices, self.baseline.layout.degrees, self.irreps, like)

    # ---- stage 1 ----------------------------------------------------------------------------

    def graph(self, atoms: Atoms) -> Graph:
        """The graph of a structure, with the initial guess if the model starts from one.

        Raises:
            ValueError: for a crystal, if the model starts from a guess.
        """
        return guessed_graph(atoms, self.config, self.basis, self.scaling.charges)

    def geometry(self, graph: Graph, read: tuple[Tensor, Tensor] | None = None) -> Geometry:
        """Directions, distances and the standardised guess, as the networks read them.

        Args:
            graph: with the blocks of the guess.
            read: the standardised guess, where it is known already (see ``Geometry.guess``).
        """
        geometry = self.geometry_builder(graph)
        if read is not None:
            return replace(geometry, guess=read)
        if not graph.node_guess.shape[1]:
            return geometry
        s, like = self.scaling, self.baseline.species.weight
        on_site = self.irreps.encode(graph.node_guess).flatten(1)
        in_edge_frame = rotate_blocks(graph.pair_guess, geometry.basis)
        pairs = self.codec.scaler.to_frame(in_edge_frame).flatten(1)

        def standardised(values: Tensor, mean: Tensor, scale: Tensor, classes: Tensor) -> Tensor:
            rest = values - mean.index_select(0, classes)
            return (rest * inverse(scale).index_select(0, classes)).to(like)

        of_atoms = on_site, s.node_guess_mean, s.node_guess_scale, geometry.node_class
        of_pairs = pairs, s.pair_guess_mean, s.pair_guess_scale, geometry.pair_class
        return replace(geometry, guess=(standardised(*of_atoms), standardised(*of_pairs)))

    # ---- tokens: the input of stage 2 -------------------------------------------------------

    def tokens(self, out: Stage1Output, graph: Graph, geometry: Geometry) -> Tokens:
        """The input of stage 2, from stage 1's output; in local frames if the model uses them."""
        features, blocks = out.features, self._blocks_read(out, graph, geometry)
        edges = features.framed_edges if self.is_local else features.edges
        tokens = self.global_tokens(features.nodes, edges, features.radial, blocks, graph, geometry)
        if not self.is_local:
            return tokens
        vectors = self.local.vectors(features.nodes)
        tokens = self.localised_atoms(tokens, vectors)
        return self.localised_pairs(tokens, vectors, graph, geometry)

    def global_tokens(
        self,
        nodes: Tensor,
        edges: Tensor,
        radial: Tensor,
        blocks: Blocks,
        graph: Graph,
        geometry: Geometry,
    ) -> Tokens:
        """The tokens in the global frame, in the dtype of stage 2.

        If `localised_pairs` follows, ``edges`` are in edge frames instead, as it reads them.
        """
        like = self.refiner.node_in.weight
        return Tokens(
            nodes=nodes.to(like),
            edges=edges.to(like),
            node_blocks=blocks.nodes.to(like),
            pair_blocks=blocks.pairs.to(like),
            direction=(graph.edge_vec / geometry.distance[:, None]).to(like),
            radial=radial.to(like),
            envelope=geometry.envelope.to(like),
            row=graph.edge_index[0],
            column=graph.edge_index[1],
            node_class=geometry.node_class,
            pair_class=geometry.pair_class,
        )

    def _blocks_read(self, out: Stage1Output, graph: Graph, geometry: Geometry) -> Blocks:
        """(N, B, [Q,] M, M) and (P, B, [Q,] M, M) that stage 2 reads, hermitian, of order one."""
        like, size = out.node_coefficients, self.irreps.size
        nodes: Any = [like.new_zeros(len(graph.z), 0)]
        pairs: Any = [like.new_zeros(len(graph.edge_vec), 0)]
        if self.config.refiner_baseline:
            nodes.append(self.codec.readable_atoms(like, geometry.node_class))
            pairs.append(self.codec.readable_pairs(out.pair_coefficients, geometry))
        if self.config.refiner_guess and geometry.guess is not None:
            nodes.append(geometry.guess[0])
            pairs.append(geometry.guess[1])
        of_nodes, of_pairs = (torch.cat(t, dim=1).unflatten(1, (-1, size)) for t in (nodes, pairs))
        count = of_nodes.shape[1]
        reverse = graph.reverse[:, None] * count + torch.arange(count, device=like.device)
        flat = Blocks(
            self.irreps.decode(of_nodes).flatten(0, 1),
            self.codec.scaler.to_global_frame(of_pairs, geometry).flatten(0, 1),
        ).symmetric(reverse.flatten())
        nodes, pairs = of_nodes.shape[:2], of_pairs.shape[:2]
        return Blocks(flat.nodes.unflatten(0, nodes), flat.pairs.unflatten(0, pairs))

    def localised_atoms(self, tokens: Tokens, vectors: LocalVectors) -> Tokens:
        """The tokens with the atoms' rows in local frames, which stage 1's features span."""
        features, rotation, confidence = self.local.of_atoms(vectors)
        rotation, confidence = rotation.to(tokens.nodes), confidence.to(tokens.nodes)
        return replace(
            tokens,
            nodes=scale_non_scalars(features.to(tokens.nodes) @ tokens.nodes, confidence),
            node_blocks=to_local(tokens.node_blocks, rotation, confidence),
            node_to_global=rotation.inverse,
            node_confidence=confidence,
        )

    def localised_pairs(
        self, tokens: Tokens, vectors: LocalVectors, graph: Graph, geometry: Geometry
    ) -> Tokens:
        """The tokens with the pairs' rows in local frames whose z axis is the pair.

        Of ``tokens`` the pair features are in edge frames, frame order, and all else in the global
        frame: an edge frame and a local frame differ by a rotation about z only, which is cheap.
        """
        angle, rotation, confidence = self.local.of_pairs(
            vectors, geometry.harmonic, graph.edge_vec, tokens.row, tokens.column
        )
        rotation, confidence = rotation.to(tokens.edges), confidence.to(tokens.edges)
        edges = self.local.from_edge_frame(tokens.edges, angle)
        return replace(
            tokens,
            edges=scale_non_scalars(edges, confidence),
            pair_blocks=to_local(tokens.pair_blocks, rotation, confidence),
            pair_confidence=confidence,
            direction=tokens.direction.new_tensor([0.0, 0.0, 1.0]).expand_as(tokens.direction),
            pair_to_global=rotation.inverse,
        )
