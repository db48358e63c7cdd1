"""The two phases of training: what each one's data are, and its loss on a mini-batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from workbench.basis import Basis
from workbench.batching import GatheredTokens, Selection
from workbench.dataset import Dataset
from workbench.gathering import Gathering
from workbench.labelled import Labelled
from workbench.least_squares import NormalEquations, solve
from workbench.loss import matrix_mae, moduli
from workbench.models.baseline import Geometry
from workbench.models.blocks import Blocks
from workbench.models.config import GUESSES, ModelConfig
from workbench.models.orientations import averaged
from workbench.models.refiner import Tokens
from workbench.models.scaling import ClassedBlocks, Scaling
from workbench.models.turns import haar, turn
from workbench.models.twostage import TwoStageModel

COMPARED = 4
"""Chunks of the training set on which trained and untrained features are compared."""

FITTED = 200
"""Structures from which the charges of a guess are fitted: a few numbers per element."""

REMEMBERED = 1 << 17
"""Pairs of the validation set whose features are kept while the strength of a ridge is chosen."""

ROUNDING = 5e-3
"""How much larger, relatively, the validation error may become by rounding weights to float16."""

TURNS, HANDS = 8, 2
"""Orientations of each structure, every second one inverted, from which stage 2's readouts are
solved; in local axes a structure and its image are all there is."""


def guess_charges(dataset: Dataset, indices: NDArray[np.int64], config: ModelConfig) -> Tensor:
    """(elements, exponents) charges of the guess, fitted to at most ``FITTED`` of these samples.

    Raises:
        ValueError: if PySCF does not know the basis, or the samples are crystals.
    """
    if config.guess == "none":
        return torch.zeros(len(dataset.basis.elements), 0, dtype=torch.float64)
    if dataset.periodic:
        raise ValueError(
            f"{dataset.path} holds crystals, and a guess is for molecules: set guess='none'."
        )
    from workbench.engines.superposition import fit  # PySCF takes a second to import

    some = [int(i) for i in indices[:: -(-len(indices) // FITTED)]]
    samples = ((dataset.atoms(i), dataset.hamiltonians([i])[0]) for i in some)
    return torch.from_numpy(fit(samples, dataset.basis))


def untrained(basis: Basis, config: ModelConfig, train: Labelled, charges: Tensor) -> TwoStageModel:
    """A model with fresh weights, scaled to a training set."""
    model = TwoStageModel(basis, config, Scaling())
    model = model.to(train.store.elements.device)
    if config.guess == "none":
        model.scaling = replace(
            _statistics(model, train, lambda part: part.blocks(train.blocks)), charges=charges
        )
        return model
    of_guesses = [
        _statistics(model, train, partial(_guessed, k=k)) for k in range(GUESSES[config.guess])
    ]
    of_rest = _statistics(
        model, train, lambda part: part.blocks(train.blocks) - _guessed(part, k=0)
    )
    charges = charges.to(train.blocks.nodes)
    model.scaling = model.scaler.fit_guess(of_rest, of_guesses, charges)
    return model


def _guessed(part: Selection, k: int) -> Blocks:
    """Matrix ``k`` of the guess."""
    return Blocks(part.graph.node_guess[:, k], part.graph.pair_guess[:, k])


def _statistics(
    model: TwoStageModel, train: Labelled, blocks: Callable[[Selection], Blocks]
) -> Scaling:
    """Means and scales of blocks of a training set, each pair's in its edge frame."""

    def local() -> Iterator[ClassedBlocks]:
        for part in train.chunks():
            geometry, own = model.geometry_builder(part.graph), blocks(part)
            own = Blocks(own.nodes, turn(own.pairs, geometry.basis))
            yield ClassedBlocks(own, geometry.node_class, geometry.pair_class)

    return model.scaler.fit(local)


class Stage1:
    """Phase 1: the baseline learns what is left of the Hamiltonian beside its mean."""

    name = "stage 1"

    def __init__(
        self,
        model: TwoStageModel,
        train: Labelled,
        valid: Labelled,
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

    def _target(self, split: Labelled) -> Blocks:
        """Blocks less what the model starts from, eV, float64."""
        nodes, pairs = (Gathering(len(b)) for b in (split.blocks.nodes, split.blocks.pairs))
        for part in split.chunks():
            start = self.model.start(part.graph, self.model.geometry(part.graph))
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
        blocks = self.model.baseline_blocks(out, part.graph, geometry)  # type: ignore[arg-type]
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
            nodes, pairs = model.baseline_targets(part.blocks(self.targets[0]), geometry)
            equations[0].add(features.node_parts, nodes, geometry.node_class)
            equations[1].add(features.pair_parts, pairs, geometry.pair_class)
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
                blocks = model.baseline_blocks(out, part.graph, geometry)
                errors.append(per_structure(blocks - part.blocks(self.targets[1]), part))
            return float(torch.cat(errors).mean())

        error = solve(equations, validate)
        return error if pairs == len(self.valid.blocks.pairs) else self.validate()


class Stage2:
    """Phase 2: the refiner learns what stage 1, now frozen, has left.

    Stage 1 is equivariant, so its features are computed once, turned and inverted with the labels.
    """

    name = "stage 2"

    def __init__(
        self, model: TwoStageModel, train: Labelled, valid: Labelled, turning: bool = True
    ) -> None:
        """``turning``: whether structures are turned and inverted at random.

        In local axes there is nothing to turn, and images are seen where predictions need them.
        """
        first = Stage1(model, train, valid)
        self.turning = turning and (model.mirrors or not model.is_local)
        self.model, self.train, self.valid = model, train, valid
        self.module: nn.Module = model.refiner
        (self.tokens, self.targets), (self.valid_tokens, self.valid_targets) = (
            _left_by_stage1(model, split, target)
            for split, target in zip((train, valid), first.targets, strict=True)
        )
        model.scaling = model.scaler.fit_residual(model.scaling, self._left)
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
        drawn = haar(len(part.elements), seed, improper=True)
        tokens, target = self._turned(part, drawn)
        out = network(tokens)
        error = self.model.correction_blocks(out, tokens, part.graph.reverse)  # type: ignore[arg-type]
        return matrix_mae(error - target, part.elements)

    def _turned(self, part: Selection, drawn: NDArray[np.float64]) -> tuple[Tokens, Blocks]:
        """Training tokens and targets, structures turned by what was drawn for them (B, 3, 3)."""
        tokens, target = part.tokens(self.tokens), part.blocks(self.targets)
        if not self.turning:
            return tokens, target
        batch = part.graph.batch
        if self.model.is_local:
            inverted = torch.from_numpy(np.linalg.det(drawn) < 0).to(batch.device)
            return tokens.mirrored(self.model.local.mirror, inverted[batch]), target
        turns = self.model.turns(drawn, tokens.nodes)
        on_nodes, on_pairs = turns.blocks[batch], turns.blocks[batch[tokens.row]]
        turned = Blocks(turn(target.nodes, on_nodes), turn(target.pairs, on_pairs))
        return tokens.turned(turns, batch), turned

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
        times = (HANDS if model.is_local else TURNS) if self.turning else 1
        passes = ((again, part) for again in range(times) for part in self.train.chunks())
        for number, (again, part) in enumerate(passes):
            drawn = haar(len(part.elements), (number, 3)) * (-1) ** again
            tokens, target = self._turned(part, drawn)
            node_parts, pair_parts = refiner.parts(tokens)
            nodes, pairs = model.correction_targets(target, tokens)
            for system, parts, wanted, classes, trust in (
                (equations[0], node_parts, nodes, tokens.node_class, tokens.node_trust),
                (equations[1], pair_parts, pairs, tokens.pair_class, tokens.pair_trust),
            ):
                sure = slice(None) if trust is None else trust == 1  # others have no axes of theirs
                system.add([p[sure] for p in parts], wanted[sure], classes[sure])
        return solve(equations, self.validate)


@torch.no_grad()
def _left_by_stage1(model: TwoStageModel, split: Labelled, target: Blocks) -> tuple[Tokens, Blocks]:
    """Stage 1's tokens for a split and, in their type, what it leaves of the target, eV."""
    gathered = GatheredTokens(split.store.graph)
    nodes, pairs = (Gathering(len(b)) for b in (target.nodes, target.pairs))
    for part in split.chunks():
        geometry = model.geometry(part.graph)
        out = model.baseline(part.graph, geometry)
        tokens = model.tokens(out, part.graph, geometry)
        left = part.blocks(target)
        if model.config.refiner_baseline:
            left = left - model.baseline_blocks(out, part.graph, geometry)
        left = left.to(tokens.nodes)
        gathered.add(tokens)
        nodes.add(left.nodes)
        pairs.add(left.pairs)
    return gathered.tokens(), Blocks(nodes.tensor, pairs.tensor)


def with_short_weights(
    module: nn.Module, validate: Callable[[], float], solve_readouts: Callable[[], float]
) -> float:
    """Solve with all weights rounded to float16, or exact ones where rounding does harm.

    A file then takes half the space. Rounding changes the features a little and leaves them as
    smooth as they were; the readouts make up for it unless the network was already at its best.
    Then less than `ROUNDING` of its error is a fair price.
    """
    exact, before = {k: t.clone() for k, t in module.state_dict().items()}, validate()
    for weight in module.parameters():
        weight.copy_(weight.half().float())
    error = solve_readouts()
    if error > before * (1 + ROUNDING):
        module.load_state_dict(exact)
        error = solve_readouts()
    return _with_short_solution(module, validate, error)


def _with_short_solution(module: nn.Module, validate: Callable[[], float], error: float) -> float:
    """Round what was solved for as well, as far as it does not live on its last digits; the error.

    Its values span many orders of magnitude, some beyond those of float16: these become float32, or
    all of them where float16 does harm.
    """
    exact = {name: t.clone() for name, t in module.named_buffers() if t.any()}
    if not exact:
        return error
    for shortened in (_short, Tensor.float):
        for name, buffer in module.named_buffers():
            if name in exact:
                buffer.copy_(shortened(exact[name]))
        short = validate()
        if short <= error * (1 + ROUNDING):
            return short
    for name, buffer in module.named_buffers():
        if name in exact:
            buffer.copy_(exact[name])
    return error


def _short(values: Tensor) -> Tensor:
    """As float16, or as float32 what is too large for that."""
    half = values.half()
    return half if bool(half.isfinite().all()) else values.float()


def mean_modulus(blocks: Blocks, split: Labelled) -> float:
    """Mean modulus over all existing elements of all structures, eV."""
    total = sum(
        float(matrix_mae(part.blocks(blocks), part.elements) * part.elements.sum())
        for part in split.chunks()
    )
    return total / float(split.store.elements.sum())


def per_structure(error: Blocks, part: Selection) -> Tensor:
    """(B,) mean modulus of the error of each structure, eV."""
    batch = part.graph.batch
    nodes, pairs = (moduli(e).sum((1, 2)).double() for e in (error.nodes, error.pairs))
    total = torch.zeros_like(part.elements).index_add(0, batch, nodes)
    return total.index_add(0, batch[part.graph.edge_index[0]], pairs) / part.elements
