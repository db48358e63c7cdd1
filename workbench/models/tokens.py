"""What does stage 2 read? Tokens: stage 1's features and blocks, one row per atom or per pair."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from workbench.models.tensor_rotations import (
    BlockRotation,
    FeatureRotation,
    Reflection,
    rotate_blocks,
)

_ATOM, _PAIR, _INDEX = ({"row": kind} for kind in ("atom", "pair", "index"))
"""Whether a field has a row per atom or per pair; an index is renumbered by `select`."""


@dataclass(frozen=True)
class Tokens:
    """The input of stage 2, in the global frame or in local frames.

    Attributes:
        nodes: (N, K, C) stage 1's node features.
        edges: (P, K, C) stage 1's pair features.
        node_blocks: (N, B, [Q,] M, M) on-site blocks in units of their scale: stage 1's
            correction, if ``refiner_baseline``, and the matrices of the guess.
        pair_blocks: (P, B, [Q,] M, M) the same for pairs.
        direction: (P, 3) unit vectors from atom i to atom j; (0, 0, 1) in local frames.
        radial: (P, radial) stage 1's radial functions.
        envelope: (P, 1) smooth cutoff.
        row: (P,) atom i.
        column: (P,) atom j.
        node_class: (N,) species index.
        pair_class: (P,) index of the ordered pair of species.
        node_to_global: N rotations from local frames to the global frame; None: global frame.
        pair_to_global: P rotations, the same for pairs.
        node_confidence: (N,) confidence of the atoms' local frames, 0 to 1; None: global frame.
        pair_confidence: (P,) the same for pairs.
    """

    nodes: Tensor = field(metadata=_ATOM)
    edges: Tensor = field(metadata=_PAIR)
    node_blocks: Tensor = field(metadata=_ATOM)
    pair_blocks: Tensor = field(metadata=_PAIR)
    direction: Tensor = field(metadata=_PAIR)
    radial: Tensor = field(metadata=_PAIR)
    envelope: Tensor = field(metadata=_PAIR)
    row: Tensor = field(metadata=_INDEX)
    column: Tensor = field(metadata=_INDEX)
    node_class: Tensor = field(metadata=_ATOM)
    pair_class: Tensor = field(metadata=_PAIR)
    node_to_global: BlockRotation | None = field(default=None, metadata=_ATOM)
    pair_to_global: BlockRotation | None = field(default=None, metadata=_PAIR)
    node_confidence: Tensor | None = field(default=None, metadata=_ATOM)
    pair_confidence: Tensor | None = field(default=None, metadata=_PAIR)

    def rotated(self, rotations: FeatureRotation, batch: Tensor) -> Tokens:
        """The tokens of rotated structures, without another run of stage 1; global frame.

        Args:
            rotations: one per structure.
            batch: (N,) structure of each atom.
        """
        pair = batch[self.row]
        return replace(
            self,
            nodes=rotations.features[batch] @ self.nodes,
            edges=rotations.features[pair] @ self.edges,
            node_blocks=rotate_blocks(self.node_blocks, rotations.blocks[batch]),
            pair_blocks=rotate_blocks(self.pair_blocks, rotations.blocks[pair]),
            direction=torch.einsum("pab,pb->pa", rotations.matrix[pair], self.direction),
        )

    def reflected(self, reflection: Reflection, where: Tensor) -> Tokens:
        """Tokens of the inverted structures in local frames; the correction is of the originals.

        Args:
            reflection: of the local frames.
            where: (N,) whether the structure of each atom is inverted.
        """
        return self.reflected_atoms(reflection, where).reflected_pairs(reflection, where[self.row])

    def reflected_atoms(self, reflection: Reflection, where: Tensor) -> Tokens:
        """The same for the atoms only."""
        assert self.node_to_global is not None
        return replace(
            self,
            nodes=reflection.of_features(self.nodes, where),
            node_blocks=reflection.of_blocks(self.node_blocks, where),
            node_to_global=reflection.after(self.node_to_global.inverse, where).inverse,
        )

    def reflected_pairs(self, reflection: Reflection, where: Tensor) -> Tokens:
        """The same for the pairs only, where the mask (P,) is True."""
        assert self.pair_to_global is not None
        return replace(
            self,
            edges=reflection.of_features(self.edges, where),
            pair_blocks=reflection.of_blocks(self.pair_blocks, where),
            pair_to_global=reflection.after(self.pair_to_global.inverse, where).inverse,
        )


ROWS: MappingProxyType[str, str] = MappingProxyType(
    {f.name: f.metadata["row"] for f in fields(Tokens) if f.metadata["row"] != "index"}
)
"""Field of ``Tokens`` -> "atom" or "pair", whichever has a row in it."""


def select(tokens: Tokens, atoms: Tensor, pairs: Tensor, edge_index: Tensor) -> Tokens:
    """The tokens of some structures.

    Args:
        tokens: of all structures.
        atoms: (N,) indices of the atoms of the selected structures.
        pairs: (P,) indices of their pairs.
        edge_index: (2, P) these pairs, with atoms numbered from 0 within the selection.
    """
    rows = {"atom": atoms, "pair": pairs}
    stored: dict[str, Any] = {name: getattr(tokens, name) for name in ROWS}
    selected = {n: value[rows[ROWS[n]]] for n, value in stored.items() if value is not None}
    return replace(tokens, row=edge_index[0], column=edge_index[1], **selected)
