"""Stage 2's objective: its targets, its mini-batch loss, and its readouts by ridge regression."""

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
from workbench.storage.stored_tensor import StoredTensor
from workbench.training.batching import Selection, TokenStore
from workbench.training.gauge import alternately, without_shift
from workbench.training.least_squares import NormalEquations, solve
from workbench.training.loss import matrix_mae, mean_modulus, per_structure
from workbench.training.stage1_objective import Stage1Objective
from workbench.training.training_set import TrainingSet
from workbench.training.weight_rounding import with_short_weights

N_ROTATIONS, N_INVERSIONS = 8, 2
"""Orientations of each structure on which stage 2's readouts are refitted.

Every second one is inverted. In local axes rotations change nothing, so two orientations suffice:
the structure and its inverted image."""


class Stage2Objective:
    """Stage 2 learns the residual of stage 1, which is frozen.

    Stage 1 is equivariant. Its features are therefore computed once, and rotated and inverted
    together with the labels.

    Args:
        model: whose stage 2 is trained.
        train: structures of the mini-batches and of the ridge regression.
        valid: structures of the validation error.
        turning: rotate and invert structures at random. In local axes rotations change nothing;
            inversion is applied only if predictions average over it.
    """

    name = "stage 2"

    def __init__(
        self, model: TwoStageModel, train: TrainingSet, valid: TrainingSet, turning: bool = True
    ) -> None:
        stage1 = Stage1Objective(model, train, valid)
        self.turning = turning and (model.averages_inversion or not model.is_local)
        self.model, self.train, self.valid = model, train, valid
        self.module: nn.Module = model.refiner
        (self.tokens, self.targets), (self.valid_tokens, self.valid_targets) = (
            _residual(model, split, target)
            for split, target in zip((train, valid), stage1.targets, strict=True)
        )
        model.scaling = model.codec.scaler.fit_residual(model.scaling, self._residual_chunks)
        self.unit_ev = mean_modulus(self.targets, train)

    def _residual_chunks(self) -> Iterator[ClassedBlocks]:
        """The residual of stage 1 on the training set, some structures at a time."""
        for part in self.train.chunks():
            node_class, pair_class = self.tokens.node_class, self.tokens.pair_class
            residual = part.blocks(self.targets)
            yield ClassedBlocks(residual, node_class[part.nodes], pair_class[part.pairs])

    def loss(
        self,
        network: Callable[..., object],
        indices: Tensor,
        seed: Sequence[int],
        share: slice = slice(None),
    ) -> Tensor:
        """MAE of a mini-batch in eV, each structure rotated and inverted at random."""
        part = self.train.store.select(indices[share])
        rotations = random_rotations(len(indices), seed, improper="half")[share]
        target, overlap = part.blocks(self.targets), self.train.overlaps
        matrices = [target] if overlap is None else [target, part.blocks(overlap).to(target.nodes)]
        tokens, (target, *overlaps) = self._rotated(part, rotations, matrices)
        out = network(tokens)
        error = self.model.codec.stage2_blocks(out, tokens, part.graph.reverse) - target  # type: ignore[arg-type]
        for S in overlaps:
            error = without_shift(error, S, part)
        return matrix_mae(error, part)

    def _rotated(
        self, part: Selection, rotations: NDArray[np.float64], matrices: Sequence[Blocks]
    ) -> tuple[Tokens, list[Blocks]]:
        """Training tokens and matrices, each structure under its own operation (B, 3, 3).

        The operations may be improper: rotations with an inversion.
        """
        tokens = part.tokens(self.tokens)
        if not self.turning:
            return tokens, list(matrices)
        batch = part.graph.batch
        if self.model.is_local:
            inverted = torch.from_numpy(np.linalg.det(rotations) < 0).to(batch.device)
            return tokens.reflected(self.model.local.reflection, inverted[batch]), list(matrices)
        feature_rotations = self.model.rotations(rotations, tokens.nodes)
        on_nodes, on_pairs = (
            feature_rotations.blocks[batch],
            feature_rotations.blocks[batch[tokens.row]],
        )
        rotated = [
            Blocks(rotate_blocks(of.nodes, on_nodes), rotate_blocks(of.pairs, on_pairs))
            for of in matrices
        ]
        return tokens.rotated(feature_rotations, batch), rotated

    @torch.no_grad()
    def validate(self) -> float:
        """MAE on the validation set, eV, mean over structures."""
        errors = []
        for part in self.valid.chunks():
            correction = averaged(self.model, part.tokens(self.valid_tokens), part.graph)
            error = correction - part.blocks(self.valid_targets)
            errors.append(per_structure(self.valid.gauge_free(error, part), part))
        return float(torch.cat(errors).mean())

    @torch.no_grad()
    def solve(self) -> float:
        """Refit the readouts on randomly rotated structures; the validation MAE, eV."""
        return with_short_weights(self.model.refiner, self.validate, self._solve_readouts)

    def _solve_readouts(self) -> float:
        """Refit; free of gauge, to targets with the shifts that the solution before leaves."""
        if self.train.overlaps is None:
            return self._solve_once()
        heads = (self.model.refiner.node_head, self.model.refiner.pair_head)
        return alternately([head.readout for head in heads], self._shifts, self._solve_once)

    def _shifts(self) -> list[Tensor]:
        """The shifts (B,) of the errors, eV, of each chunk of the training set."""
        found = []
        for part in self.train.chunks():
            correction = averaged(self.model, part.tokens(self.tokens), part.graph)
            found.append(self.train.shifts(correction - part.blocks(self.targets), part))
        return found

    def _solve_once(self, mu: Sequence[Tensor] | None = None) -> float:
        """Refit to targets with the shifts mu, (B,) eV for each chunk; the validation MAE, eV."""
        model, refiner = self.model, self.model.refiner
        equations = (
            NormalEquations(refiner.node_head.readout),
            NormalEquations(refiner.pair_head.readout),
        )
        times = (N_INVERSIONS if model.is_local else N_ROTATIONS) if self.turning else 1
        passes = ((n, k, part) for n in range(times) for k, part in enumerate(self.train.chunks()))
        for number, (again, chunk, part) in enumerate(passes):
            rotations = random_rotations(len(part.elements), (number, 3)) * (-1) ** again
            target = part.blocks(self.targets)
            if mu is not None:
                target = self.train.shifted(target, mu[chunk], part)
            tokens, (target,) = self._rotated(part, rotations, [target])
            node_features, pair_features = refiner.readout_features(tokens)
            nodes, pairs = model.codec.stage2_targets(target, tokens)
            node_class, pair_class = tokens.node_class, tokens.pair_class
            _add(equations[0], node_features, nodes, node_class, tokens.node_confidence)
            _add(equations[1], pair_features, pairs, pair_class, tokens.pair_confidence)
        return solve(equations, self.validate)


def _add(
    equations: NormalEquations,
    features: Sequence[Tensor],
    targets: Tensor,
    classes: Tensor,
    confidence: Tensor | None,
) -> None:
    """Add rows to the equations; items whose local frame is undefined are skipped."""
    rows = slice(None) if confidence is None else confidence == 1
    equations.add([f[rows] for f in features], targets[rows], classes[rows])


@torch.no_grad()
def _residual(model: TwoStageModel, split: TrainingSet, target: Blocks) -> tuple[Tokens, Blocks]:
    """The tokens of a split and, in their type, the target less stage 1's prediction, eV."""
    token_store = TokenStore(split.store.graph)
    nodes, pairs = (StoredTensor(len(b)) for b in (target.nodes, target.pairs))
    for part in split.chunks():
        geometry = model.geometry(part.graph)
        out = model.baseline(part.graph, geometry)
        tokens = model.tokens(out, part.graph, geometry)
        residual = part.blocks(target)
        if model.config.refiner_baseline:
            residual = residual - model.codec.stage1_blocks(out, part.graph.reverse, geometry)
        residual = residual.to(tokens.nodes)
        token_store.add(tokens)
        nodes.add(residual.nodes)
        pairs.add(residual.pairs)
    return token_store.tokens(), Blocks(nodes.tensor, pairs.tensor)
