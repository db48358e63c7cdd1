"""Stage 2: a free, non-linear 3D graph Transformer that corrects the baseline.

Not equivariant by construction: it reads orientation as plain numbers, through ordinary
LayerNorm, SiLU and attention, and learns the symmetry from rotated data. Stage 1's equivariant
features make that easy; it repays with the expressiveness that stage 1's linear maps and gates
lack. The principle is the paper's (arXiv 2401.00744); tokens, layers and head are ours.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.utils import softmax

from workbench.hamiltonians.irreps import BlockIrreps
from workbench.models.config import GUESSES, ModelConfig
from workbench.models.edge_frames import Layout
from workbench.models.equivariant_layers import Norm
from workbench.models.readouts import Readout, Section
from workbench.models.tokens import Tokens


class Stage2(nn.Module):
    """Stage 2: corrections to all blocks, as irrep coefficients in units of stage 1's residual."""

    def __init__(self, irreps: BlockIrreps, config: ModelConfig) -> None:
        super().__init__()
        layout = Layout.of(config, irreps.basis)
        n_species, width = len(irreps.basis.elements), config.refiner_width
        features, block = layout.dim * config.channels, irreps.size
        self.reads_features = config.refiner_features
        read = config.refiner_baseline + GUESSES[config.guess] * config.refiner_guess
        self.features = features * self.reads_features
        seen = self.features + block * read
        self.node_norm, self.edge_norm = (Norm(layout, config.channels) for _ in range(2))
        self.node_in = linear(seen, width)
        self.edge_in = nn.Linear(seen + config.radial + 3, width)
        self.node_species = nn.Embedding(n_species, width)
        self.pair_species = nn.Embedding(n_species * n_species, width)
        self.layers = nn.ModuleList(
            TransformerLayer(width, config.refiner_heads) for _ in range(config.refiner_layers)
        )
        self.node_head = CorrectionHead(width, block, n_species)
        self.pair_head = CorrectionHead(width, block, n_species**2)

    def forward(self, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """Coefficients (N, F) of on-site and (P, F) of pair corrections."""
        node_readout_features, pair_readout_features = self.readout_features(tokens)
        return (
            self.node_head.readout(node_readout_features, tokens.node_class),
            self.pair_head.readout(pair_readout_features, tokens.pair_class),
        )

    def readout_features(self, tokens: Tokens) -> tuple[list[Tensor], list[Tensor]]:
        """What the readouts of on-site blocks (N, 1, width) and of pairs (P, 1, width) read."""
        x, e = self.first_atoms(tokens), self.first_pairs(tokens)
        for layer in self.layers:
            x, e = layer(x, e, tokens)
        return [self.node_head(x)], [self.pair_head(e)]

    def first_atoms(self, tokens: Tokens) -> Tensor:
        """(N, width) of atoms, before any layer."""
        parts = [self.node_norm(tokens.nodes).flatten(1)] * self.reads_features
        nodes = torch.cat([*parts, tokens.node_blocks.flatten(1)], dim=1)
        return self.node_in(nodes) + self.node_species(tokens.node_class)

    def first_pairs(self, tokens: Tokens) -> Tensor:
        """(P, width) of pairs, before any layer."""
        return self.from_features(tokens) + self.from_blocks(tokens.pair_blocks)

    def from_features(self, tokens: Tokens) -> Tensor:
        """(P, width): the part of a pair's first token that does not come from blocks.

        The map is linear, and a large structure's blocks are known later than its features.
        """
        beside = torch.cat([tokens.radial, tokens.direction], dim=1)
        found = functional.linear(beside, self._edge_in()[2], self.edge_in.bias)
        if self.reads_features:
            features = self.edge_norm(tokens.edges).flatten(1)
            found = found + functional.linear(features, self._edge_in()[0])
        return found + self.pair_species(tokens.pair_class)

    def from_blocks(self, blocks: Tensor) -> Tensor:
        """(P, width): the part that comes from blocks (P, B, [Q,] M, M)."""
        return functional.linear(blocks.flatten(1), self._edge_in()[1])

    def _edge_in(self) -> tuple[Tensor, ...]:
        """Matrices for features, for blocks, and for radial functions and directions."""
        weight = self.edge_in.weight
        beside = weight.shape[1] - self.node_in.in_features
        blocks = self.node_in.in_features - self.features
        return weight.split([self.features, blocks, beside], dim=1)


class AttentionInputs(NamedTuple):
    """What atoms (N, width) give to attention, before it is known to which pairs."""

    query: Tensor
    key: Tensor
    value_row: Tensor
    value_column: Tensor


class TransformerLayer(nn.Module):
    """Pre-norm attention of each atom over its pairs, then an update of atoms and of pairs.

    What pairs read of their atoms passes a linear map first. It is applied to the atoms, which are
    few, and not to each pair's copy of them.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.node_norm, self.edge_norm, self.ffn_norm, self.pair_norm = (
            nn.LayerNorm(width) for _ in range(4)
        )
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(2 * width, width)
        self.value = mlp(3 * width, width, width)
        self.gate = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.ffn = mlp(width, 2 * width, width)
        self.pair = mlp(3 * width, width, width)

    def forward(self, x: Tensor, e: Tensor, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """Atoms (N, width) and pairs (P, width)."""
        normalised, pair, row, column = (
            self.node_norm(x),
            self.edge_norm(e),
            tokens.row,
            tokens.column,
        )
        aggregated = self.attention(
            self.attention_inputs(normalised), pair, row, column, tokens.envelope, range(len(x))
        )
        x = self.atoms(x, normalised, aggregated)
        return x, e + self.update(self.ends(x), pair, row, column)

    def attention_inputs(self, normalised: Tensor) -> AttentionInputs:
        """What atoms, normed (N, width), give to attention."""
        key, value = _of_atoms(normalised, self.key), _of_atoms(normalised, _first(self.value))
        return AttentionInputs(self.query(normalised), *key, *value)

    def attention(
        self,
        inputs: AttentionInputs,
        pair: Tensor,
        row: Tensor,
        column: Tensor,
        envelope: Tensor,
        own: range,
    ) -> Tensor:
        """(atoms, width): values of an atom's pairs, weighed by a softmax over these pairs.

        Args:
            shown: by all atoms.
            pair: (P, width) all pairs of the atoms ``own``, normed.
            row: (P,) numbers of these atoms, each one of ``own``.
            column: (P,) of the others.
            envelope: (P, 1) smooth cutoff.
            own: a run of atoms, for which the result is.
        """
        place = row - own.start
        query = inputs.query.index_select(0, row).unflatten(1, (self.heads, -1))
        key = _of_pairs(pair, self.key, (inputs.key, column)).unflatten(1, (self.heads, -1))
        score = (query * key).sum(-1) * key.shape[-1] ** -0.5  # (P, heads)
        weight = softmax(score, place, num_nodes=len(own)) * envelope
        ends = (inputs.value_row, row), (inputs.value_column, column)
        value = _rest(self.value, _of_pairs(pair, _first(self.value), *ends))
        messages = weight[..., None] * value.unflatten(1, (self.heads, -1))
        return pair.new_zeros(len(own), pair.shape[1]).index_add(0, place, messages.flatten(1))

    def atoms(self, x: Tensor, normalised: Tensor, aggregated: Tensor) -> Tensor:
        """(N, width) atoms after attention."""
        x = x + torch.sigmoid(self.gate(normalised)) * self.out(aggregated)
        return x + self.ffn(self.ffn_norm(x))

    def ends(self, x: Tensor) -> tuple[Tensor, ...]:
        """What atoms (N, width), changed, give to the pairs that start and that end at them."""
        return _of_atoms(self.pair_norm(x), _first(self.pair))

    def update(self, ends: tuple[Tensor, ...], pair: Tensor, row: Tensor, column: Tensor) -> Tensor:
        """(P, width) what pairs add, normed to (P, width), after their atoms have changed."""
        places = zip(ends, (row, column), strict=True)
        return _rest(self.pair, _of_pairs(pair, _first(self.pair), *places))


def _of_atoms(x: Tensor, linear: nn.Linear) -> tuple[Tensor, ...]:
    """What a map of (atom, .., pair) adds for each place of an atom, applied to all atoms.

    Args:
        x: (N, width).
        linear: reads one or more atoms and then a pair, each of this width.
    """
    return tuple(functional.linear(x, w) for w in linear.weight.split(x.shape[1], dim=1)[:-1])


def _of_pairs(pair: Tensor, linear: nn.Linear, *atoms: tuple[Tensor, Tensor]) -> Tensor:
    """The same map of pairs (P, width), given what `_of_atoms` gives and each pair's atom (P,)."""
    total = functional.linear(pair, linear.weight[:, -pair.shape[1] :], linear.bias)
    for term, place in atoms:
        total = total + term.index_select(0, place)
    return total


def _first(layers: nn.Sequential) -> nn.Linear:
    """The first map of an `mlp`."""
    return cast("nn.Linear", layers[0])


def _rest(layers: nn.Sequential, hidden: Tensor) -> Tensor:
    """All that comes after the first map of an `mlp`."""
    return layers[2](layers[1](hidden))


def linear(inner: int, outer: int) -> nn.Linear:
    """``nn.Linear``, which for an ablation may read nothing at all: torch warns of that."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Initializing zero-element tensors")
        return nn.Linear(inner, outer)


def mlp(inner: int, hidden: int, outer: int) -> nn.Sequential:
    """Linear, SiLU, Linear."""
    return nn.Sequential(nn.Linear(inner, hidden), nn.SiLU(), nn.Linear(hidden, outer))


class CorrectionHead(nn.Module):
    """LayerNorm, Linear and SiLU before a readout that starts at zero: at the baseline."""

    def __init__(self, width: int, outer: int, n_classes: int) -> None:
        super().__init__()
        self.free = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU())
        self.readout = Readout([Section(1, width, outer, True)], n_classes)
        nn.init.zeros_(self.readout.shared[0])

    def forward(self, x: Tensor) -> Tensor:
        """(items, width) -> (items, 1, width)."""
        return self.free(x)[:, None]
