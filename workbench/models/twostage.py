"""Both stages together: atoms in, baseline and refined Hamiltonian out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, overload

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray
from torch import Tensor, nn

from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.irreps import BlockIrreps
from workbench.hamiltonians.spin_parts import from_parts
from workbench.models.applicability import ApplicabilityDomain, DomainWarning
from workbench.models.blocks import Blocks, guessed_graph
from workbench.models.config import ModelConfig
from workbench.models.geometry import Geometry, GeometryBuilder
from workbench.models.graph import Graph, batches, join, matrix_edges
from workbench.models.large_structures import baseline_large, predict_large
from workbench.models.local_frames import (
    LocalFrames,
    LocalVectors,
    local_vectors,
    scale_by_confidence,
    scale_non_scalars,
)
from workbench.models.orientation_average import averaged
from workbench.models.prediction import Features, Prediction
from workbench.models.scaling import BlockScaler, Scaling, inverse
from workbench.models.stage1 import Baseline, BaselineOutput
from workbench.models.stage2 import Refiner
from workbench.models.summary import summary
from workbench.models.tensor_rotations import BlockRotation, FeatureRotation, rotate_blocks
from workbench.models.tokens import Tokens

BATCH = 2_000
"""Pairs of several structures predicted at once: more no longer fit a processor's cache."""

LARGE = 20_000
"""Pairs beyond which one structure is predicted in pieces: some GB of features."""


class TwoStageModel(nn.Module):
    """Stage 1 (``baseline``) and stage 2 (``refiner``) with the scaling of their targets.

    The model itself is a callable atoms -> refined ``BlockMatrix``; ``stage1`` is one for the
    baseline. Networks run in the type of their weights: float32 unless told otherwise, and stage 1
    in float64 once its readouts are solved, since these live on the features' last digits. Means,
    and the sum that makes the Hamiltonian, are float64.
    """

    predicts_many = True
    """`predict` also takes several structures, see `workbench.evaluation.rotation_errors`."""

    def __init__(self, basis: Basis, config: ModelConfig, scaling: Scaling) -> None:
        """Untrained weights from torch's current seed.

        Raises:
            ValueError: if the features cannot reach every irrep of the basis, or a
                guess is asked for with spin.
        """
        super().__init__()
        config.check(basis)
        self.basis, self.config = basis, config
        self.info: Mapping[str, Any] = {}
        self.irreps = BlockIrreps(basis, config.time_reversal)
        self.scaler = BlockScaler(self.irreps)
        self.scaling = scaling
        self.geometry_builder = GeometryBuilder(self.irreps, config)
        self.baseline = Baseline(self.irreps, config)
        self.refiner = Refiner(self.irreps, config)
        self.local = LocalFrames(self.baseline.layout.degrees, self.irreps)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> TwoStageModel:
        """As every module, so that `to` takes the scaling along; it stays float64."""
        super()._apply(fn, recurse)
        self.scaling = self.scaling.to(self.device)
        return self

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols of the elements the model knows."""
        return tuple(chemical_symbols[z] for z in self.basis.elements)

    # ---- tensors ----------------------------------------------------------------------------

    def graph(self, atoms: Atoms) -> Graph:
        """The graph of a structure, with the guess where the model starts from one.

        Raises:
            ValueError: for a crystal, if the model starts from a guess.
        """
        return guessed_graph(atoms, self.config, self.basis, self.scaling.charges)

    def geometry(self, graph: Graph, read: tuple[Tensor, Tensor] | None = None) -> Geometry:
        """Directions, distances and the guess as the networks read them.

        Args:
            graph: with the guess's blocks.
            read: the guess as it is read, where that is known already.
        """
        geometry = self.geometry_builder(graph)
        if read is not None:
            return replace(geometry, guess=read)
        if not graph.node_guess.shape[1]:
            return geometry
        s, like = self.scaling, self.baseline.species.weight
        coefficients = self.irreps.encode(graph.node_guess).flatten(1)
        turned = rotate_blocks(graph.pair_guess, geometry.basis)
        local = self.scaler.to_frame(turned).flatten(1)

        def standardised(values: Tensor, mean: Tensor, scale: Tensor, of: Tensor) -> Tensor:
            left = values - mean.index_select(0, of)
            return (left * inverse(scale).index_select(0, of)).to(like)

        nodes = coefficients, s.node_guess_mean, s.node_guess_scale, geometry.node_class
        pairs = local, s.pair_guess_mean, s.pair_guess_scale, geometry.pair_class
        return replace(geometry, guess=(standardised(*nodes), standardised(*pairs)))

    def start(self, graph: Graph, geometry: Geometry) -> Blocks:
        """What the networks correct: the guess and the mean of what it leaves, eV, float64."""
        means = Blocks(
            self.scaler.node_means(self.scaling, geometry.node_class),
            self.scaler.pair_means(self.scaling, geometry),
        )
        if not graph.node_guess.shape[1]:
            return means
        return means + Blocks(graph.node_guess[:, 0], graph.pair_guess[:, 0])

    def baseline_blocks(self, out: BaselineOutput, graph: Graph, geometry: Geometry) -> Blocks:
        """Stage 1's correction to the start, eV, in the global frame, hermitian."""
        s, like = self.scaling, out.node_coefficients
        nodes = like * s.node_scale.to(like).index_select(0, geometry.node_class)
        scale = s.pair_scale.to(like).index_select(0, geometry.pair_class)
        pairs = out.pair_coefficients * scale
        return self._unscaled(nodes, pairs * geometry.envelope.to(like), graph, geometry)

    def baseline_targets(self, blocks: Blocks, geometry: Geometry) -> tuple[Tensor, Tensor]:
        """What stage 1's readouts should put out for given corrections to the start, eV."""
        nodes = self.irreps.encode(blocks.nodes)
        nodes = nodes * inverse(self.scaling.node_scale)[geometry.node_class]
        local = self.scaler.to_frame(rotate_blocks(blocks.pairs, geometry.basis))
        scale = self.scaling.pair_scale[geometry.pair_class] * geometry.envelope
        return self.baseline.node_head.sorted(nodes), local * inverse(scale)

    def tokens(self, out: BaselineOutput, graph: Graph, geometry: Geometry) -> Tokens:
        """What stage 2 reads of stage 1's output."""
        f, blocks = out.features, self._blocks_read(out, graph, geometry)
        tokens = self.global_tokens(f.nodes, f.edges, f.radial, blocks, graph, geometry)
        if not self.is_local:
            return tokens
        own = local_vectors(f.nodes)
        return self.localised_pairs(self.localised_atoms(tokens, own), own, graph, geometry)

    def global_tokens(
        self,
        nodes: Tensor,
        edges: Tensor,
        radial: Tensor,
        blocks: Blocks,
        graph: Graph,
        geometry: Geometry,
    ) -> Tokens:
        """Stage 1's features and the blocks that stage 2 reads, in its type."""
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

    def _blocks_read(self, out: BaselineOutput, graph: Graph, geometry: Geometry) -> Blocks:
        """(N, B, [Q,] M, M) and (P, B, [Q,] M, M) that stage 2 reads, hermitian, of order one."""
        like, size = out.node_coefficients, self.irreps.size
        nodes: Any = [like.new_zeros(len(graph.z), 0)]
        pairs: Any = [like.new_zeros(len(graph.edge_vec), 0)]
        if self.config.refiner_baseline:
            known = self.scaling.node_scale > 0, self.scaling.pair_scale > 0
            reach = known[1].index_select(0, geometry.pair_class) * geometry.envelope.to(like)
            nodes.append(like * known[0].index_select(0, geometry.node_class))
            pairs.append(out.pair_coefficients * reach)
        if self.config.refiner_guess and geometry.guess is not None:
            nodes.append(geometry.guess[0])
            pairs.append(geometry.guess[1])
        of_nodes, of_pairs = (torch.cat(t, dim=1).unflatten(1, (-1, size)) for t in (nodes, pairs))
        count = of_nodes.shape[1]
        places = graph.reverse[:, None] * count + torch.arange(count, device=like.device)
        flat = Blocks(
            self.irreps.decode(of_nodes).flatten(0, 1),
            self.scaler.to_global_frame(of_pairs, geometry).flatten(0, 1),
        ).symmetric(places.flatten())
        nodes, pairs = of_nodes.shape[:2], of_pairs.shape[:2]
        return Blocks(flat.nodes.unflatten(0, nodes), flat.pairs.unflatten(0, pairs))

    @property
    def is_local(self) -> bool:
        """Whether stage 2 works in local axes."""
        return self.config.refiner_frame == "local"

    @property
    def averages_inversion(self) -> bool:
        """Whether its correction is the mean over a structure and its image under inversion."""
        return self.is_local and self.config.refiner_mirrors

    def localised_atoms(self, tokens: Tokens, own: LocalVectors) -> Tokens:
        """The tokens with those of each atom in its own axes, which stage 1's features span."""
        features, by, confidence = self.local.of_atoms(own)
        by, confidence = by.to(tokens.nodes), confidence.to(tokens.nodes)
        return replace(
            tokens,
            nodes=scale_non_scalars(features.to(tokens.nodes) @ tokens.nodes, confidence),
            node_blocks=scale_by_confidence(rotate_blocks(tokens.node_blocks, by), confidence),
            node_to_global=by.inverse,
            node_confidence=confidence,
        )

    def localised_pairs(
        self, tokens: Tokens, own: LocalVectors, graph: Graph, geometry: Geometry
    ) -> Tokens:
        """The tokens with those of each pair in axes along the pair."""
        features, by, confidence = self.local.of_pairs(
            own, geometry.harmonic, graph.edge_vec, tokens.row, tokens.column
        )
        by, confidence = by.to(tokens.edges), confidence.to(tokens.edges)
        return replace(
            tokens,
            edges=scale_non_scalars(features.to(tokens.edges) @ tokens.edges, confidence),
            pair_blocks=scale_by_confidence(rotate_blocks(tokens.pair_blocks, by), confidence),
            pair_confidence=confidence,
            direction=tokens.direction.new_tensor([0.0, 0.0, 1.0]).expand_as(tokens.direction),
            pair_to_global=by.inverse,
        )

    def correction_blocks(
        self, out: tuple[Tensor, Tensor], tokens: Tokens, reverse: Tensor
    ) -> Blocks:
        """Stage 2's correction to the baseline, eV, hermitian, from the refiner's output."""
        nodes = scale_by_confidence(out[0], tokens.node_confidence)
        nodes = self.atom_correction(nodes, tokens.node_class, tokens.node_to_global)
        pairs = scale_by_confidence(out[1] * tokens.envelope, tokens.pair_confidence)
        pairs = self.pair_correction(pairs, tokens.pair_class, tokens.pair_to_global)
        return Blocks(nodes, pairs).symmetric(reverse)

    def atom_correction(
        self, out: Tensor, node_class: Tensor, back: BlockRotation | None
    ) -> Tensor:
        """On-site blocks, eV, of stage 2's output for atoms; not yet hermitian."""
        scale = self.scaling.node_residual.to(out).index_select(0, node_class)
        found = self.irreps.decode(out * scale)
        return found if back is None else rotate_blocks(found, back)

    def pair_correction(
        self, out: Tensor, pair_class: Tensor, back: BlockRotation | None
    ) -> Tensor:
        """Pair blocks, eV, of stage 2's output for pairs; not yet hermitian."""
        scale = self.scaling.pair_residual.to(out).index_select(0, pair_class)
        found = self.irreps.decode(out * scale)
        return found if back is None else rotate_blocks(found, back)

    def correction_targets(self, blocks: Blocks, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """What stage 2's readouts should put out for given corrections to the baseline, eV."""
        if tokens.node_to_global is not None and tokens.pair_to_global is not None:
            blocks = Blocks(
                rotate_blocks(blocks.nodes, tokens.node_to_global.inverse),
                rotate_blocks(blocks.pairs, tokens.pair_to_global.inverse),
            )
        nodes = self.irreps.encode(blocks.nodes)
        pairs = self.irreps.encode(blocks.pairs)
        scale = self.scaling.pair_residual[tokens.pair_class] * tokens.envelope
        return (
            nodes * inverse(self.scaling.node_residual)[tokens.node_class],
            pairs * inverse(scale),
        )

    def _unscaled(self, nodes: Tensor, pairs: Tensor, graph: Graph, geometry: Geometry) -> Blocks:
        """Coefficients (N, F), and (P, F) in the edge frame's order, as hermitian blocks."""
        turned = self.scaler.to_global_frame(pairs, geometry)
        return Blocks(self.irreps.decode(nodes), turned).symmetric(graph.reverse)

    # ---- atoms ------------------------------------------------------------------------------

    @overload
    def predict(self, atoms: Atoms, symmetrise: int = 1) -> Prediction: ...

    @overload
    def predict(self, atoms: Iterable[Atoms], symmetrise: int = 1) -> list[Prediction]: ...

    @torch.inference_mode()
    def predict(
        self, atoms: Atoms | Iterable[Atoms], symmetrise: int = 1
    ) -> Prediction | list[Prediction]:
        """Both stages' Hamiltonians of a structure, or of many at once.

        Args:
            atoms: one structure, or several, which then share batches.
            symmetrise: average stage 2 over so many orientations (the given one and fixed random
                ones): its symmetry error falls, its cost grows. Stage 1 needs no average.

        Raises:
            ValueError: for an element the model was not made with.
        """
        if symmetrise < 1:
            raise ValueError(f"symmetrise={symmetrise}: average over 1 orientation or more.")
        structures = [atoms] if isinstance(atoms, Atoms) else list(atoms)
        for one in structures:
            self._check(one)
        graphs = [self.graph(one) for one in structures]
        found = [p for some in batches(graphs, BATCH) for p in self._predict(some, symmetrise)]
        return found[0] if isinstance(atoms, Atoms) else found

    def _predict(self, graphs: list[Graph], symmetrise: int) -> list[Prediction]:
        if self._is_large(graphs[0]):
            return [self._predict_in_pieces(graphs[0], symmetrise)]
        graph, geometry, out = self._stage1(graphs)
        first = self.start(graph, geometry)
        baseline = first + self.baseline_blocks(out, graph, geometry)
        tokens = self.tokens(out, graph, geometry)
        base = baseline if self.config.refiner_baseline else first
        refined = base + averaged(self, tokens, graph, symmetrise)
        layout = self.baseline.layout
        nodes, edges = (layout.to_irreps(f) for f in (out.features.nodes, out.features.edges))
        features = [
            Features(b.nodes, b.pairs, self._feature_irreps)
            for b in Blocks(nodes, edges).split(graphs)
        ]
        matrices = zip(graphs, baseline.split(graphs), refined.split(graphs), features, strict=True)
        return [Prediction(self._matrix(g, b), self._matrix(g, r), f) for g, b, r, f in matrices]

    def _predict_in_pieces(self, own: Graph, symmetrise: int) -> Prediction:
        if symmetrise > 1 and not self.is_local:
            raise ValueError(f"A structure of more than {LARGE} pairs needs symmetrise=1.")
        baseline, refined, nodes = predict_large(self, join([own]).to(str(self.device)))
        features = Features(self.baseline.layout.to_irreps(nodes), None, self._feature_irreps)
        return Prediction(self._matrix(own, baseline), self._matrix(own, refined), features)

    @property
    def _feature_irreps(self) -> str:
        return str(self.baseline.layout.irreps(self.config.channels))

    def _is_large(self, graph: Graph) -> bool:
        """Whether its pairs' features would take too much memory at once."""
        return self.config.guess == "none" and graph.edge_index.shape[1] > LARGE

    def turns(self, matrices: NDArray[np.float64], like: Tensor) -> FeatureRotation:
        """Rotations (B, 3, 3) as ``Tokens.turned`` needs them, in the type of a tensor."""
        return FeatureRotation.of(matrices, self.baseline.layout.degrees, self.irreps, like)

    @torch.inference_mode()
    def stage1(self, atoms: Atoms) -> BlockMatrix:
        """The baseline Hamiltonian alone, eV."""
        self._check(atoms)
        own = self.graph(atoms)
        if self._is_large(own):
            return self._matrix(own, baseline_large(self, join([own]).to(str(self.device))))
        graph, geometry, out = self._stage1([own])
        blocks = self.start(graph, geometry) + self.baseline_blocks(out, graph, geometry)
        return self._matrix(own, blocks)

    def forward(self, atoms: Atoms) -> BlockMatrix:
        """The refined Hamiltonian, eV."""
        return self.predict(atoms).refined

    def _stage1(self, graphs: list[Graph]) -> tuple[Graph, Geometry, BaselineOutput]:
        """Graphs as one, and what stage 1 makes of it."""
        graph = join(graphs).to(str(self.device))
        geometry = self.geometry(graph)
        return graph, geometry, self.baseline(graph, geometry)

    def _check(self, atoms: Atoms) -> None:
        """Refuse an unknown element; warn of a structure unlike all that was seen."""
        self.basis.check(atoms.numbers)
        if sentence := self.outside_domain(atoms):
            warnings.warn(sentence, DomainWarning, stacklevel=4)  # past torch's decorator

    def outside_domain(self, atoms: Atoms) -> str | None:
        """One sentence if a structure is unlike all that the model was trained on, else None."""
        return (
            ApplicabilityDomain(**self.info["domain"]).outside_domain(atoms)
            if "domain" in self.info
            else None
        )

    def summary(self) -> str:
        """What the model is, what it was trained on and how well it did, as text."""
        return summary(self)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def _matrix(self, graph: Graph, blocks: Blocks) -> BlockMatrix:
        edges, shifts = matrix_edges(graph)
        values = torch.cat([blocks.nodes, blocks.pairs]).double().cpu().numpy()
        if self.basis.spinor:
            values = from_parts(values)
        return BlockMatrix(self.basis, graph.z.numpy(), edges, shifts, values)
