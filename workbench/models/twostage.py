"""Both stages with atoms in and Hamiltonians out: what users, tests and widgets call a model."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any, overload

import torch
from ase import Atoms
from ase.data import chemical_symbols

from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV
from workbench.hamiltonians.spin_parts import from_parts
from workbench.models.applicability import ApplicabilityDomain, DomainWarning
from workbench.models.blocks import Blocks
from workbench.models.config import ModelConfig
from workbench.models.geometry import Geometry
from workbench.models.graph import Graph, batches, join, matrix_edges
from workbench.models.large_structures import baseline_large, predict_large
from workbench.models.network import TwoStageNetwork
from workbench.models.orientation_average import averaged
from workbench.models.prediction import Features, Prediction
from workbench.models.scaling import Scaling
from workbench.models.stage1 import Stage1Output

BATCH = 2_000
"""Pairs of several structures predicted at once: more no longer fit a processor's cache."""

LARGE = 20_000
"""Pairs beyond which one structure is predicted in chunks: their features take some GB."""


class TwoStageModel(TwoStageNetwork):
    """A two-stage network that takes atoms and returns Hamiltonians in eV.

    The model itself is a callable atoms -> refined ``BlockMatrix``; ``stage1`` is one for the
    baseline. Means, and the sum that makes the Hamiltonian, are float64.

    Attributes:
        info: JSON-able: what the model was trained on and how well it did.
    """

    predicts_many = True
    """`predict` also takes several structures, see `workbench.evaluation.rotation_errors`."""

    def __init__(self, basis: Basis, config: ModelConfig, scaling: Scaling) -> None:
        """Untrained weights from torch's current seed; errors as of ``TwoStageNetwork``."""
        super().__init__(basis, config, scaling)
        self.info: Mapping[str, Any] = {}

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols of the elements the model knows."""
        return tuple(chemical_symbols[z] for z in self.basis.elements)

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
        start = self.codec.start(graph, geometry)
        baseline = start + self.codec.stage1_blocks(out, graph.reverse, geometry)
        tokens = self.tokens(out, graph, geometry)
        base = baseline if self.config.refiner_baseline else start
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

    @torch.inference_mode()
    def stage1(self, atoms: Atoms) -> BlockMatrix:
        """The baseline Hamiltonian alone, eV."""
        self._check(atoms)
        own = self.graph(atoms)
        if self._is_large(own):
            return self._matrix(own, baseline_large(self, join([own]).to(str(self.device))))
        graph, geometry, out = self._stage1([own])
        correction = self.codec.stage1_blocks(out, graph.reverse, geometry)
        blocks = self.codec.start(graph, geometry) + correction
        return self._matrix(own, blocks)

    def forward(self, atoms: Atoms) -> BlockMatrix:
        """The refined Hamiltonian, eV."""
        return self.predict(atoms).refined

    def _stage1(self, graphs: list[Graph]) -> tuple[Graph, Geometry, Stage1Output]:
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
        return _summary(self)

    def _matrix(self, graph: Graph, blocks: Blocks) -> BlockMatrix:
        edges, shifts = matrix_edges(graph)
        values = torch.cat([blocks.nodes, blocks.pairs]).double().cpu().numpy()
        if self.basis.spinor:
            values = from_parts(values)
        return BlockMatrix(self.basis, graph.z.numpy(), edges, shifts, values)


def _summary(model: TwoStageModel) -> str:
    """What the model is, what it was trained on and how well it did, as text."""
    info, basis = model.info, model.basis
    sizes = [sum(p.numel() for p in m.parameters()) / 1e6 for m in (model.baseline, model.refiner)]
    start = {
        "orbitals": "superposed atomic potentials and the density of their orbitals",
        "atoms": "superposed atomic potentials",
        "none": "nothing but means",
    }
    kept = "" if model.config.time_reversal else " and without time reversal"
    spin = f", with spin{kept}" if basis.spinor else ""
    lines = [
        f"Two-stage model of Hamiltonians in {basis.name} for {', '.join(model.elements)}{spin}",
        f"starts from {start[model.config.guess]}",
        f"stage 1: equivariant, {sizes[0]:.2f} M parameters, {model.config.layers} layers of "
        f"{model.config.channels} channels, l <= {model.config.lmax}",
        f"stage 2: graph Transformer, {sizes[1]:.2f} M parameters, "
        f"{model.config.refiner_layers} layers of width {model.config.refiner_width}",
    ]
    if "domain" in info:
        formulas = info["domain"]["formulas"]
        some = ", ".join(f"{n} x {f}" for f, n in list(formulas.items())[:5])
        more = f" and {len(formulas) - 5} other formulas" if len(formulas) > 5 else ""
        lines.append(f"trained on {info['dataset']['name']}: {some}{more}")
    last = {row["phase"]: row["valid_mae_ev"] for row in info.get("history", ())}
    lines += [f"validation error after {k}: {MEV * v:.3g} meV" for k, v in last.items()]
    if not info:
        lines.append("not trained")
    what = "crystals and molecules" if model.config.guess == "none" else "molecules"
    lines.append(f"predicts {what} of these elements; warns beyond what it was trained on")
    return "\n".join(lines)
