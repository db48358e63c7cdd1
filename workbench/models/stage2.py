"""How does stage 2 correct the baseline? With an unconstrained 3D graph Transformer.

Stage 2 is not equivariant by construction: it reads components of vectors and tensors as plain
numbers, through ordinary LayerNorm, SiLU and attention, and learns the symmetry from rotated data.
Stage 1's equivariant features make that easy. In return stage 2 is more expressive than stage 1's
linear maps and gates. One layer, per head and with the smooth cutoff ``f``:

    a_ij = f(r_ij) softmax_j(q_i . k_ij / sqrt(d)),   x_i <- x_i + g_i * W sum_j a_ij v_ij,
    x_i <- x_i + MLP(x_i),                            e_ij <- e_ij + MLP(x_i, x_j, e_ij),

where keys ``k_ij`` read atom j and the pair, values ``v_ij`` both atoms and the pair. The principle
is the paper's (arXiv 2401.00744); tokens, layers and heads are ours.
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
        n_matrices = config.refiner_baseline + GUESSES[config.guess] * config.refiner_guess
        self.features = features * self.reads_features
        inputs = self.features + block * n_matrices
        self.node_norm, self.edge_norm = (Norm(layout, config.channels) for _ in range(2))
        self.node_in = linear(inputs, width)
        self.edge_in = nn.Linear(inputs + config.radial + 3, width)
        self.node_species = nn.Embedding(n_species, width)
        self.pair_species = nn.Embedding(n_species * n_species, width)
        self.layers = nn.ModuleList(
            TransformerLayer(width, config.refiner_heads) for _ in range(config.refiner_layers)
        )
        self.node_head = CorrectionHead(width, block, n_species)
        self.pair_head = CorrectionHead(width, block, n_species**2)

    def forward(self, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """Coefficients of the corrections: (N, F) of on-site blocks and (P, F) of pair blocks."""
        node_readout_features, pair_readout_features = self.readout_features(tokens)
        return (
            self.node_head.readout(node_readout_features, tokens.node_class),
            self.pair_head.readout(pair_readout_features, tokens.pair_class),
        )

    def readout_features(self, tokens: Tokens) -> tuple[list[Tensor], list[Tensor]]:
        """Inputs of the readouts: (N, 1, width) of on-site blocks, (P, 1, width) of pair blocks."""
        x, e = self.first_atoms(tokens), self.first_pairs(tokens)
        for layer in self.layers:
            x, e = layer(x, e, tokens)
        return [self.node_head(x)], [self.pair_head(e)]

    def first_atoms(self, tokens: Tokens) -> Tensor:
        """(N, width) tokens of the atoms before the first layer."""
        features = [self.node_norm(tokens.nodes).flatten(1)] * self.reads_features
        nodes = torch.cat([*features, tokens.node_blocks.flatten(1)], dim=1)
        return self.node_in(nodes) + self.node_species(tokens.node_class)

    def first_pairs(self, tokens: Tokens) -> Tensor:
        """(P, width) tokens of the pairs before the first layer."""
        return self.from_features(tokens) + self.from_blocks(tokens.pair_blocks)

    def from_features(self, tokens: Tokens) -> Tensor:
        """(P, width) the part of a pair's first token that comes from features and geometry.

        It is separate from the blocks' part since the blocks of a large structure are known later.
        The map is linear, so that the parts can be added.
        """
        geometry = torch.cat([tokens.radial, tokens.direction], dim=1)
        first = functional.linear(geometry, self._edge_in()[2], self.edge_in.bias)
        if self.reads_features:
            features = self.edge_norm(tokens.edges).flatten(1)
            first = first + functional.linear(features, self._edge_in()[0])
        return first + self.pair_species(tokens.pair_class)

    def from_blocks(self, blocks: Tensor) -> Tensor:
        """(P, width) the part of a pair's first token that comes from blocks (P, B, [Q,] M, M)."""
        return functional.linear(blocks.flatten(1), self._edge_in()[1])

    def _edge_in(self) -> tuple[Tensor, ...]:
        """Weights (width, inputs) for features, for blocks, for radial functions and directions."""
        weight = self.edge_in.weight
        geometry = weight.shape[1] - self.node_in.in_features
        blocks = self.node_in.in_features - self.features
        return weight.split([self.features, blocks, geometry], dim=1)


class AttentionInputs(NamedTuple):
    """Linear maps (N, width) of the atoms, from which queries, keys and values are built."""

    query: Tensor
    key: Tensor
    value_row: Tensor
    value_column: Tensor


class TransformerLayer(nn.Module):
    """Pre-norm attention of each atom over its pairs, then an update of atoms and of pairs.

    A linear map of (atom i, atom j, pair) is the sum of three maps. The maps of atoms are applied
    to the atoms, which are few, before they are copied to the pairs.
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
        """Update atoms (N, width) and pairs (P, width)."""
        row, column = tokens.row, tokens.column
        normalised, pair = self.node_norm(x), self.edge_norm(e)
        aggregated = self.attention(
            self.attention_inputs(normalised), pair, row, column, tokens.envelope, range(len(x))
        )
        x = self.atoms(x, normalised, aggregated)
        return x, e + self.update(self.ends(x), pair, row, column)

    def attention_inputs(self, normalised: Tensor) -> AttentionInputs:
        """The atoms' part of queries, keys and values, from normalised tokens (N, width)."""
        key, value = _of_atoms(normalised, self.key), _of_atoms(normalised, _first(self.value))
        return AttentionInputs(self.query(normalised), *key, *value)

    def attention(
        self,
        inputs: AttentionInputs,
        pair: Tensor,
        row: Tensor,
        column: Tensor,
        envelope: Tensor,
        atoms: range,
    ) -> Tensor:
        """(atoms, width) values, summed over each atom's pairs with softmax weights.

        Args:
            inputs: of all atoms.
            pair: (P, width) normalised tokens of all pairs whose first atom is in ``atoms``.
            row: (P,) first atoms.
            column: (P,) second atoms.
            envelope: (P, 1) smooth cutoff.
            atoms: consecutive atoms, for which attention is computed.
        """
        place = row - atoms.start
        query = inputs.query.index_select(0, row).unflatten(1, (self.heads, -1))
        key = _of_pairs(pair, self.key, (inputs.key, column)).unflatten(1, (self.heads, -1))
        score = (query * key).sum(-1) * key.shape[-1] ** -0.5  # (P, heads)
        weight = softmax(score, place, num_nodes=len(atoms)) * envelope
        ends = (inputs.value_row, row), (inputs.value_column, column)
        value = _rest(self.value, _of_pairs(pair, _first(self.value), *ends))
        messages = weight[..., None] * value.unflatten(1, (self.heads, -1))
        return pair.new_zeros(len(atoms), pair.shape[1]).index_add(0, place, messages.flatten(1))

    def atoms(self, x: Tensor, normalised: Tensor, aggregated: Tensor) -> Tensor:
        """(N, width) atoms after attention: gated residual, then a feed-forward network."""
        x = x + torch.sigmoid(self.gate(normalised)) * self.out(aggregated)
        return x + self.ffn(self.ffn_norm(x))

    def ends(self, x: Tensor) -> tuple[Tensor, ...]:
        """The atoms' part of the pairs' update: of first atoms and of second atoms, (N, width)."""
        return _of_atoms(self.pair_norm(x), _first(self.pair))

    def update(self, ends: tuple[Tensor, ...], pair: Tensor, row: Tensor, column: Tensor) -> Tensor:
        """(P, width) update of the pairs; ``pair``: normalised tokens; ``ends``: see `ends`."""
        places = zip(ends, (row, column), strict=True)
        return _rest(self.pair, _of_pairs(pair, _first(self.pair), *places))


def _of_atoms(x: Tensor, linear: nn.Linear) -> tuple[Tensor, ...]:
    """A linear map of (atom, .., pair) restricted to each of its atoms, applied to all atoms.

    Args:
        x: (N, width).
        linear: its input is one or more atoms and then a pair, each of this width.
    """
    return tuple(functional.linear(x, w) for w in linear.weight.split(x.shape[1], dim=1)[:-1])


def _of_pairs(pair: Tensor, linear: nn.Linear, *atoms: tuple[Tensor, Tensor]) -> Tensor:
    """The same map for pairs (P, width); ``atoms``: terms of `_of_atoms`, and atoms (P,)."""
    total = functional.linear(pair, linear.weight[:, -pair.shape[1] :], linear.bias)
    for term, place in atoms:
        total = total + term.index_select(0, place)
    return total


def _first(layers: nn.Sequential) -> nn.Linear:
    """The first linear map of an `mlp`."""
    return cast("nn.Linear", layers[0])


def _rest(layers: nn.Sequential, hidden: Tensor) -> Tensor:
    """The layers of an `mlp` after the first linear map."""
    return layers[2](layers[1](hidden))


def linear(inner: int, outer: int) -> nn.Linear:
    """``nn.Linear`` without torch's warning for zero inputs, which occur in ablations."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Initializing zero-element tensors")
        return nn.Linear(inner, outer)


def mlp(inner: int, hidden: int, outer: int) -> nn.Sequential:
    """Linear, SiLU, Linear."""
    return nn.Sequential(nn.Linear(inner, hidden), nn.SiLU(), nn.Linear(hidden, outer))


class CorrectionHead(nn.Module):
    """LayerNorm, Linear and SiLU, then a readout that starts at zero: without a correction."""

    def __init__(self, width: int, outer: int, n_classes: int) -> None:
        super().__init__()
        self.free = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU())
        self.readout = Readout([Section(1, width, outer, True)], n_classes)
        nn.init.zeros_(self.readout.shared[0])

    def forward(self, x: Tensor) -> Tensor:
        """(items, width) -> (items, 1, width)."""
        return self.free(x)[:, None]
