"""Stage 2's objective: its targets, its loss on a mini-batch, and its readouts by least squares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from workbench.hamiltonians.rotations import random_rotations
from workbench.models.blocks import Blocks
from workbench.models.orientation_average import averaged
from workbench.models.scaling import ClassedBlocks
from workbench.models.tensor_rotations import rotate_blocks
from workbench.models.tokens import Tokens
from workbench.models.twostage import TwoStageModel
from workbench.storage.mapped_tensor import MappedTensor
from workbench.training.batching import Selection, TokenStore
from workbench.training.least_squares import NormalEquations, solve
from workbench.training.loss import matrix_mae, mean_modulus, per_structure
from workbench.training.stage1_objective import Stage1Objective
from workbench.training.training_set import TrainingSet
from workbench.training.weight_rounding import with_short_weights

N_ROTATIONS, N_INVERSIONS = 8, 2
"""Orientations of each structure, every second one inverted, from which stage 2's readouts are
solved; in local axes a structure and its image are all there is."""


class Stage2Objective:
    """Phase 2: the refiner learns what stage 1, now frozen, has left.

    Stage 1 is equivariant, so its features are computed once, turned and inverted with the labels.
    """

    name = "stage 2"

    def __init__(
        self, model: TwoStageModel, train: TrainingSet, valid: TrainingSet, turning: bool = True
    ) -> None:
        """``turning``: whether structures are turned and inverted at random.

        In local axes there is nothing to turn, and images are seen where predictions need them.
        """
        first = Stage1Objective(model, train, valid)
        self.turning = turning and (model.averages_inversion or not model.is_local)
        self.model, self.train, self.valid = model, train, valid
        self.module: nn.Module = model.refiner
        (self.tokens, self.targets), (self.valid_tokens, self.valid_targets) = (
            _left_by_stage1(model, split, target)
            for split, target in zip((train, valid), first.targets, strict=True)
        )
        model.scaling = model.codec.scaler.fit_residual(model.scaling, self._left)
        self.unit_ev = mean_modulus(self.targets, train)

    def _left(self) -> Iterator[ClassedBlocks]:
        """What stage 1 leaves of the training set, some structures at a time."""
        for part in self.train.chunks():
            node_class, pair_class = self.tokens.node_class, self.tokens.pair_class
            left = part.blocks(self.targets)
            yield ClassedBlocks(left, node_class[part.nodes], pair_class[part.pairs])

    def loss(self, network: Callable[..., object], indices: Tensor, seed: Sequence[int]) -> Tensor:
        """MAE of a mini-batch, each structure turned and inverted at random, eV."""
        part = self.train.store.select(indices)
        drawn = random_rotations(len(part.elements), seed, improper="half")
        tokens, target = self._turned(part, drawn)
        out = network(tokens)
        error = self.model.codec.stage2_blocks(out, tokens, part.graph.reverse)  # type: ignore[arg-type]
        return matrix_mae(error - target, part.elements)

    def _turned(self, part: Selection, drawn: NDArray[np.float64]) -> tuple[Tokens, Blocks]:
        """Training tokens and targets, structures turned by what was drawn for them (B, 3, 3)."""
        tokens, target = part.tokens(self.tokens), part.blocks(self.targets)
        if not self.turning:
            return tokens, target
        batch = part.graph.batch
        if self.model.is_local:
            inverted = torch.from_numpy(np.linalg.det(drawn) < 0).to(batch.device)
            return tokens.reflected(self.model.local.reflection, inverted[batch]), target
        turns = self.model.rotations(drawn, tokens.nodes)
        on_nodes, on_pairs = turns.blocks[batch], turns.blocks[batch[tokens.row]]
        turned = Blocks(
            rotate_blocks(target.nodes, on_nodes), rotate_blocks(target.pairs, on_pairs)
        )
        return tokens.rotated(turns, batch), turned

    @torch.no_grad()
    def validate(self) -> float:
        """MAE on the validation set, eV, mean over structures."""
        errors = []
        for part in self.valid.chunks():
            found = averaged(self.model, part.tokens(self.valid_tokens), part.graph)
            error = found - part.blocks(self.valid_targets)
            errors.append(per_structure(error, part))
        return float(torch.cat(errors).mean())

    @torch.no_grad()
    def solve(self) -> float:
        """Solve for the readouts on randomly turned structures; the validation MAE, eV."""
        return with_short_weights(self.model.refiner, self.validate, self._solve_readouts)

    def _solve_readouts(self) -> float:
        model, refiner = self.model, self.model.refiner
        equations = (
            NormalEquations(refiner.node_head.readout),
            NormalEquations(refiner.pair_head.readout),
        )
        times = (N_INVERSIONS if model.is_local else N_ROTATIONS) if self.turning else 1
        passes = ((again, part) for again in range(times) for part in self.train.chunks())
        for number, (again, part) in enumerate(passes):
            drawn = random_rotations(len(part.elements), (number, 3)) * (-1) ** again
            tokens, target = self._turned(part, drawn)
            node_readout_features, pair_readout_features = refiner.readout_features(tokens)
            nodes, pairs = model.codec.stage2_targets(target, tokens)
            for system, parts, wanted, classes, confidence in (
                (
                    equations[0],
                    node_readout_features,
                    nodes,
                    tokens.node_class,
                    tokens.node_confidence,
                ),
                (
                    equations[1],
                    pair_readout_features,
                    pairs,
                    tokens.pair_class,
                    tokens.pair_confidence,
                ),
            ):
                well_defined = (
                    slice(None) if confidence is None else confidence == 1
                )  # others have no axes of theirs
                system.add(
                    [p[well_defined] for p in parts], wanted[well_defined], classes[well_defined]
                )
        return solve(equations, self.validate)


@torch.no_grad()
def _left_by_stage1(
    model: TwoStageModel, split: TrainingSet, target: Blocks
) -> tuple[Tokens, Blocks]:
    """Stage 1's tokens for a split and, in their type, what it leaves of the target, eV."""
    gathered = TokenStore(split.store.graph)
    nodes, pairs = (MappedTensor(len(b)) for b in (target.nodes, target.pairs))
    for part in split.chunks():
        geometry = model.geometry(part.graph)
        out = model.baseline(part.graph, geometry)
        tokens = model.tokens(out, part.graph, geometry)
        left = part.blocks(target)
        if model.config.refiner_baseline:
            left = left - model.codec.stage1_blocks(out, part.graph.reverse, geometry)
        left = left.to(tokens.nodes)
        gathered.add(tokens)
        nodes.add(left.nodes)
        pairs.add(left.pairs)
    return gathered.tokens(), Blocks(nodes.tensor, pairs.tensor)
