"""Stage 1's objective: its targets, its mini-batch loss, and its readouts by ridge regression."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from itertools import islice

import torch
from torch import Tensor, nn

from workbench.models.blocks import Blocks
from workbench.models.geometry import Geometry
from workbench.models.twostage import TwoStageModel
from workbench.storage.stored_tensor import StoredTensor
from workbench.training.batching import Selection
from workbench.training.gauge import alternately
from workbench.training.least_squares import NormalEquations, solve
from workbench.training.loss import matrix_mae, mean_modulus, per_structure
from workbench.training.training_set import TrainingSet
from workbench.training.weight_rounding import with_short_weights

COMPARED = 4
"""Chunks of the training set on which trained and untrained features are compared."""

REMEMBERED = 1 << 17
"""Pairs of the validation set whose features stay in memory while the ridge strength is chosen."""


class Stage1Objective:
    """Stage 1 learns the Hamiltonian less the model's start, i.e. its mean and the initial guess.

    Args:
        model: whose stage 1 is trained.
        train: structures of the mini-batches and of the ridge regression.
        valid: structures of the validation error.
        initial_weights: of stage 1 before any gradient step; if their features give the lower
            error, `solve` returns to them. None never returns.
    """

    name = "stage 1"

    def __init__(
        self,
        model: TwoStageModel,
        train: TrainingSet,
        valid: TrainingSet,
        initial_weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.initial_weights = initial_weights
        self.model, self.train, self.valid = model, train, valid
        self.module: nn.Module = model.baseline
        self.targets = [self._target(split) for split in (train, valid)]
        self.unit_ev = mean_modulus(self.targets[0], train)

    @cached_property
    def guess_inputs(self) -> tuple[Tensor, ...]:
        """The network's inputs from the training structures' guesses: (atoms, n) and (pairs, n).

        They do not change during training. Empty for a model without a guess.
        """
        stored = StoredTensor(), StoredTensor()
        for part in self.train.chunks():
            guess = self.model.geometry(part.graph).guess
            if guess is None:
                return ()
            for of_all, inputs in zip(stored, guess, strict=True):
                of_all.add(inputs)
        return tuple(inputs.tensor for inputs in stored)

    def _target(self, split: TrainingSet) -> Blocks:
        """The labels' blocks less the model's start, eV, float64."""
        nodes, pairs = (StoredTensor(len(b)) for b in (split.blocks.nodes, split.blocks.pairs))
        for part in split.chunks():
            start = self.model.codec.start(part.graph, self.model.geometry(part.graph))
            rest = part.blocks(split.blocks) - start
            nodes.add(rest.nodes)
            pairs.add(rest.pairs)
        return Blocks(nodes.tensor, pairs.tensor)

    def loss(
        self,
        network: Callable[..., object],
        indices: Tensor,
        seed: Sequence[int],
        share: slice = slice(None),
    ) -> Tensor:
        """MAE of a mini-batch, eV.

        Nothing in it is random: stage 1 is equivariant, so rotating its input changes no error.
        """
        del seed
        part = self.train.store.select(indices[share])
        inputs = self.guess_inputs
        guess = (inputs[0][part.nodes], inputs[1][part.pairs]) if inputs else None
        geometry = self.model.geometry(part.graph, guess)
        error = self._error(network, part, geometry, self.targets[0])
        return matrix_mae(self.train.gauge_free(error, part), part)

    def _error(
        self, network: Callable[..., object], part: Selection, geometry: Geometry, target: Blocks
    ) -> Blocks:
        out = network(part.graph, geometry)
        blocks = self.model.codec.stage1_blocks(out, part.graph.reverse, geometry)  # type: ignore[arg-type]
        return blocks - part.blocks(target).to(blocks.nodes)

    @torch.no_grad()
    def validate(self) -> float:
        """MAE on the validation set, eV, mean over structures."""
        errors = []
        for part in self.valid.chunks():
            geometry = self.model.geometry(part.graph)
            error = self._error(self.module, part, geometry, self.targets[1])
            errors.append(per_structure(self.valid.gauge_free(error, part), part))
        return float(torch.cat(errors).mean())

    @torch.no_grad()
    def solve(self) -> float:
        """Refit the readouts by ridge regression; the validation MAE, eV.

        Stage 1 is float64 from then on. Gradient steps can make features rougher than those of the
        untrained network. If the untrained features give the lower error, as for small molecules,
        the initial weights are restored.
        """
        baseline, initial = self.model.baseline, self.initial_weights
        state = baseline.state_dict()
        if initial is not None and any(not torch.equal(t, initial[k]) for k, t in state.items()):
            weights = {name: tensor.clone() for name, tensor in state.items()}
            error = self._solve_readouts(COMPARED)
            baseline.load_state_dict(initial)
            if self._solve_readouts(COMPARED) < error:
                weights = initial
            baseline.float().load_state_dict(weights)
        return with_short_weights(baseline, self.validate, self._solve_readouts)

    def _solve_readouts(self, limit: int | None = None) -> float:
        """Refit on the training set, or on its first ``limit`` chunks; the validation MAE, eV.

        Free of gauge, the shifts that a solution leaves are removed from the targets of the next.
        """
        baseline = self.model.baseline.double()
        if self.train.overlaps is None:
            return self._solve_once(limit)
        readouts = (baseline.node_head.readout, baseline.pair_head.readout)
        return alternately(readouts, partial(self._shifts, limit), partial(self._solve_once, limit))

    def _shifts(self, limit: int | None) -> list[Tensor]:
        """The shifts (B,) of the errors, eV, of each chunk of the training set."""
        found = []
        for part in islice(self.train.chunks(), limit):
            geometry = self.model.geometry(part.graph)
            error = self._error(self.module, part, geometry, self.targets[0])
            found.append(self.train.shifts(error, part))
        return found

    def _solve_once(self, limit: int | None, mu: Sequence[Tensor] | None = None) -> float:
        """Refit to targets with the shifts mu, (B,) eV for each chunk; the validation MAE, eV."""
        model, baseline = self.model, self.model.baseline
        equations = (
            NormalEquations(baseline.node_head.readout),
            NormalEquations(baseline.pair_head.readout),
        )
        for number, part in enumerate(islice(self.train.chunks(), limit)):
            geometry = model.geometry(part.graph)
            features = baseline.features(part.graph, geometry)
            target = part.blocks(self.targets[0])
            if mu is not None:
                target = self.train.shifted(target, mu[number], part)
            nodes, pairs = model.codec.stage1_targets(target, geometry)
            nodes = baseline.node_head.sorted(nodes)
            equations[0].add(features.node_readout_features, nodes, geometry.node_class)
            equations[1].add(features.pair_readout_features, pairs, geometry.pair_class)
        remembered, pairs = [], 0
        for part in self.valid.chunks():
            geometry = model.geometry(part.graph)
            remembered.append((part, geometry, baseline.features(part.graph, geometry)))
            pairs += len(part.pairs)
            if pairs >= REMEMBERED:
                break

        def validate() -> float:
            errors = []
            for part, geometry, features in remembered:
                out = baseline.read(features, geometry)
                blocks = model.codec.stage1_blocks(out, part.graph.reverse, geometry)
                error = self.valid.gauge_free(blocks - part.blocks(self.targets[1]), part)
                errors.append(per_structure(error, part))
            return float(torch.cat(errors).mean())

        error = solve(equations, validate)
        return error if pairs == len(self.valid.blocks.pairs) else self.validate()
