"""The two phases of training: what each one's data are, and its loss on a mini-batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import islice

import torch
from torch import Tensor, nn

from workbench.models.blocks import Blocks
from workbench.models.geometry import Geometry
from workbench.models.twostage import TwoStageModel
from workbench.storage.mapped_tensor import MappedTensor
from workbench.training.batching import Selection
from workbench.training.least_squares import NormalEquations, solve
from workbench.training.loss import matrix_mae, mean_modulus, per_structure
from workbench.training.training_set import TrainingSet
from workbench.training.weight_rounding import with_short_weights

COMPARED = 4
"""Chunks of the training set on which trained and untrained features are compared."""


REMEMBERED = 1 << 17
"""Pairs of the validation set whose features are kept while the strength of a ridge is chosen."""


class Stage1Objective:
    """Phase 1: the baseline learns what is left of the Hamiltonian beside its mean."""

    name = "stage 1"

    def __init__(
        self,
        model: TwoStageModel,
        train: TrainingSet,
        valid: TrainingSet,
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        """``start``: the weights before any gradient step, to fall back on."""
        self.start = start
        self.model, self.train, self.valid = model, train, valid
        self.module: nn.Module = model.baseline
        self.targets = [self._target(split) for split in (train, valid)]
        self.unit_ev = mean_modulus(self.targets[0], train)

    @cached_property
    def read(self) -> tuple[Tensor, ...]:
        """What the network reads of the training structures' guess, nothing without one."""
        known = [self.model.geometry(part.graph).guess for part in self.train.chunks()]
        guesses = zip(*(guess for guess in known if guess is not None), strict=True)
        return tuple(torch.cat(of_chunks) for of_chunks in guesses)

    def _target(self, split: TrainingSet) -> Blocks:
        """Blocks less what the model starts from, eV, float64."""
        nodes, pairs = (MappedTensor(len(b)) for b in (split.blocks.nodes, split.blocks.pairs))
        for part in split.chunks():
            start = self.model.codec.start(part.graph, self.model.geometry(part.graph))
            rest = part.blocks(split.blocks) - start
            nodes.add(rest.nodes)
            pairs.add(rest.pairs)
        return Blocks(nodes.tensor, pairs.tensor)

    def loss(self, network: Callable[..., object], indices: Tensor, seed: Sequence[int]) -> Tensor:
        """MAE of a mini-batch, eV. Equivariance makes any rotation of the input superfluous."""
        del seed
        part = self.train.store.select(indices)
        read = (self.read[0][part.nodes], self.read[1][part.pairs]) if self.read else None
        geometry = self.model.geometry(part.graph, read)
        error = self._error(network, part, geometry, self.targets[0])
        return matrix_mae(error, part.elements)

    def _error(
        self, network: Callable[..., object], part: Selection, geometry: Geometry, target: Blocks
    ) -> Blocks:
        out = network(part.graph, geometry)
        blocks = self.model.codec.stage1_blocks(out, part.graph.reverse, geometry)  # type: ignore[arg-type]
        return blocks - part.blocks(target).to(blocks.nodes)

    @torch.no_grad()
    def validate(self) -> float:
        """MAE on the validation set, eV, mean over structures."""
        errors = [
            per_structure(
                self._error(self.module, part, self.model.geometry(part.graph), self.targets[1]),
                part,
            )
            for part in self.valid.chunks()
        ]
        return float(torch.cat(errors).mean())

    @torch.no_grad()
    def solve(self) -> float:
        """Solve for the readouts; the validation MAE, eV. From here on stage 1 is float64.

        Gradient steps can make features rougher than they were: where the untrained ones do
        better, as for small molecules, they are taken instead.
        """
        baseline, start = self.model.baseline, self.start
        state = baseline.state_dict()
        if start is not None and any(not torch.equal(t, start[name]) for name, t in state.items()):
            trained = {name: tensor.clone() for name, tensor in state.items()}
            error = self._solve_readouts(COMPARED)
            baseline.load_state_dict(start)
            if self._solve_readouts(COMPARED) < error:
                trained = start
            baseline.float().load_state_dict(trained)
        return with_short_weights(baseline, self.validate, self._solve_readouts)

    def _solve_readouts(self, limit: int | None = None) -> float:
        """On all training structures, or only the first so many chunks of them."""
        model, baseline = self.model, self.model.baseline.double()
        equations = (
            NormalEquations(baseline.node_head.readout),
            NormalEquations(baseline.pair_head.readout),
        )
        for part in islice(self.train.chunks(), limit):
            geometry = model.geometry(part.graph)
            features = baseline.features(part.graph, geometry)
            nodes, pairs = model.codec.stage1_targets(part.blocks(self.targets[0]), geometry)
            nodes = baseline.node_head.sorted(nodes)
            equations[0].add(features.node_readout_features, nodes, geometry.node_class)
            equations[1].add(features.pair_readout_features, pairs, geometry.pair_class)
        known, pairs = [], 0
        for part in self.valid.chunks():
            geometry = model.geometry(part.graph)
            known.append((part, geometry, baseline.features(part.graph, geometry)))
            pairs += len(part.pairs)
            if pairs >= REMEMBERED:
                break

        def validate() -> float:
            errors = []
            for part, geometry, features in known:
                out = baseline.read(features, geometry)
                blocks = model.codec.stage1_blocks(out, part.graph.reverse, geometry)
                errors.append(per_structure(blocks - part.blocks(self.targets[1]), part))
            return float(torch.cat(errors).mean())

        error = solve(equations, validate)
        return error if pairs == len(self.valid.blocks.pairs) else self.validate()
