"""How is a Hamiltonian predicted from atoms? ``TwoStageModel``: atoms in, matrices out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, overload

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols
from torch import Tensor

from workbench.engines.level_of_theory import level_of_theory
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix
from workbench.hamiltonians.conventions import MEV
from workbench.hamiltonians.near_dependence import Combinations, restored
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
from workbench.models.tokens import Tokens
from workbench.structures.validation import check_extent

BATCH = 2_000
"""Pairs per batch of structures: the features of more pairs exceed the processor's cache."""

VALIDATED_OVER = "validated_over"
"""Key of ``info``: the elements over which the validation errors of the history are means."""

LARGE = 20_000
"""A structure with more pairs is predicted in chunks: its features would take some GB."""


class Stage2Input(NamedTuple):
    """The input of stage 2 for one structure.

    Attributes:
        tokens: features, blocks and geometry.
        reverse: (P,) index of the pair (j, i) of each pair (i, j).
        base: the Hamiltonian to which stage 2's correction is added, eV.
    """

    tokens: Tokens
    reverse: Tensor
    base: BlockMatrix


class TwoStageModel(TwoStageNetwork):
    """A two-stage network that takes atoms and returns Hamiltonians in eV.

    The model is a callable atoms -> refined ``BlockMatrix``; ``stage1`` is the same for the
    baseline. Means, and the sum of means and corrections, are computed in float64.

    >>> model = wb.load_model("water")
    >>> water = wb.load("water")
    >>> (model(water) - model.predict(water).refined).max_abs()  # eV
    0.0

    Attributes:
        info: JSON-able: training set, history and errors of the model.
    """

    predicts_many = True
    """`predict` also takes several structures, see `workbench.evaluation.rotation_errors`."""

    def __init__(self, basis: Basis, config: ModelConfig, scaling: Scaling) -> None:
        """Untrained weights from torch's current seed; errors as in ``TwoStageNetwork``."""
        super().__init__(basis, config, scaling)
        self.info: Mapping[str, Any] = {}
        self._domain: tuple[Any, ApplicabilityDomain] | None = None

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols of the elements that the model can predict."""
        return tuple(chemical_symbols[z] for z in self.basis.elements)

    @overload
    def predict(self, atoms: Atoms, symmetrise: int = 1) -> Prediction: ...

    @overload
    def predict(self, atoms: Iterable[Atoms], symmetrise: int = 1) -> list[Prediction]: ...

    @torch.inference_mode()
    def predict(
        self, atoms: Atoms | Iterable[Atoms], symmetrise: int = 1
    ) -> Prediction | list[Prediction]:
        """Predict both stages' Hamiltonians of one structure or of several.

        Args:
            atoms: one structure, or several, which then share batches.
            symmetrise: number of orientations (the given one and fixed random ones) over which
                stage 2's correction is averaged. Its equivariance error decreases and its cost
                grows with this number. Stage 1 is exactly equivariant and needs no average.

        Returns:
            One prediction, or a list with one per structure; eV.

        Raises:
            ValueError: for an element that is not in the model's basis, ``symmetrise`` below 1, or
                positions or a cell that are not finite or make no sense (`StructureError`).

        Warns:
            DomainWarning: for a structure unlike those of the training set.

        >>> model, structures = wb.load_model("water"), [wb.load("water"), wb.load("water")]
        >>> [p.refined.values.shape for p in model.predict(structures)]  # 3 x 3 blocks of 14 x 14
        [(9, 14, 14), (9, 14, 14)]
        """
        if symmetrise < 1:
            raise ValueError(f"symmetrise={symmetrise}: average over 1 orientation or more.")
        structures = [atoms] if isinstance(atoms, Atoms) else list(atoms)
        for one in structures:
            self._check(one)
        graphs = [self.graph(one) for one in structures]
        predictions = [
            prediction
            for batch in batches(graphs, BATCH)
            for prediction in self._predict(batch, symmetrise)
        ]
        return predictions[0] if isinstance(atoms, Atoms) else predictions

    def _predict(self, graphs: list[Graph], symmetrise: int) -> list[Prediction]:
        if self._is_large(graphs[0]):
            return [self._predict_in_chunks(graphs[0], symmetrise)]
        # The networks' tensors are freed before the matrices, which need as much memory again.
        baseline, refined, features = self._network_output(graphs, symmetrise)
        parts = (blocks.split(graphs) for blocks in (baseline, refined, features))
        return [
            self._prediction(graph, h1, h2, Features(self.baseline.layout, f.nodes, f.pairs))
            for graph, h1, h2, f in zip(graphs, *parts, strict=True)
        ]

    def _network_output(
        self, graphs: list[Graph], symmetrise: int
    ) -> tuple[Blocks, Blocks, Blocks]:
        """Baseline and refined blocks, eV, and stage 1's features, (N or P, K, C)."""
        graph, geometry, out = self._stage1(graphs)
        baseline, corrected = self._bases(graph, geometry, out)
        tokens = self.tokens(out, graph, geometry)
        refined = corrected + averaged(self, tokens, graph, symmetrise)
        return baseline, refined, Blocks(out.features.nodes, out.features.edges)

    def _bases(self, graph: Graph, geometry: Geometry, out: Stage1Output) -> tuple[Blocks, Blocks]:
        """Stage 1's Hamiltonian, and the blocks to which stage 2's correction is added, eV."""
        start = self.codec.start(graph, geometry)
        baseline = start + self.codec.stage1_blocks(out, graph.reverse, geometry)
        return baseline, baseline if self.config.refiner_baseline else start

    @torch.inference_mode()
    def stage2_input(self, atoms: Atoms) -> Stage2Input:
        """What stage 2 reads of a structure, for a run of its forward pass elsewhere.

        Raises:
            ValueError: as `predict`, and for a structure so large that it is predicted in chunks.

        >>> tokens = wb.load_model("water").stage2_input(wb.load("water")).tokens
        >>> tokens.nodes.shape, tokens.direction.shape  # 3 atoms, and 6 ordered pairs of atoms
        (torch.Size([3, 33, 16]), torch.Size([6, 3]))
        """
        self._check(atoms)
        single = self.graph(atoms)
        if self._is_large(single):
            raise ValueError(f"A structure of more than {LARGE} pairs has no tokens at one time.")
        graph, geometry, out = self._stage1([single])
        base = self._matrix(single, self._bases(graph, geometry, out)[1])
        return Stage2Input(self.tokens(out, graph, geometry), graph.reverse, base)

    def _predict_in_chunks(self, graph: Graph, symmetrise: int) -> Prediction:
        if symmetrise > 1 and not self.is_local:
            raise ValueError(
                f"A structure of more than {LARGE} pairs cannot be averaged over orientations: set "
                "symmetrise=1."
            )
        baseline, refined, nodes = predict_large(self, join([graph]).to(str(self.device)))
        features = Features(self.baseline.layout, nodes, None)
        return self._prediction(graph, baseline, refined, features)

    def _is_large(self, graph: Graph) -> bool:
        """Whether the features of all pairs would take too much memory."""
        return self.config.guess == "none" and graph.edge_index.shape[1] > LARGE

    @torch.inference_mode()
    def stage1(self, atoms: Atoms) -> BlockMatrix:
        """The baseline Hamiltonian only, eV."""
        self._check(atoms)
        graph = self.graph(atoms)
        if self._is_large(graph):
            blocks = baseline_large(self, join([graph]).to(str(self.device)))
            return self._matrices(graph, blocks)[0]
        blocks, _ = self._bases(*self._stage1([graph]))
        return self._matrices(graph, blocks)[0]

    def forward(self, atoms: Atoms) -> BlockMatrix:
        """The refined Hamiltonian, eV."""
        return self.predict(atoms).refined

    def _stage1(self, graphs: list[Graph]) -> tuple[Graph, Geometry, Stage1Output]:
        """The graphs joined to one, its geometry and the output of stage 1."""
        graph = join(graphs).to(str(self.device))
        geometry = self.geometry(graph)
        return graph, geometry, self.baseline(graph, geometry)

    def _check(self, atoms: Atoms) -> None:
        """Raise an error for an unknown element or extent; warn of one outside the domain."""
        self.basis.check(atoms.numbers)
        check_extent(atoms)
        if sentence := self.outside_domain(atoms):
            warnings.warn(sentence, DomainWarning, stacklevel=4)  # past torch's decorator

    def outside_domain(self, atoms: Atoms) -> str | None:
        """One sentence if a structure is outside the applicability domain, else None."""
        recorded = self.info.get("domain")
        if recorded is None:
            return None
        # Reading some thousand numbers takes a millisecond, so they are kept.
        if self._domain is None or recorded is not self._domain[0]:
            self._domain = recorded, ApplicabilityDomain.from_json(recorded)
        return self._domain[1].outside_domain(atoms)

    @property
    def validated_as_evaluated(self) -> bool:
        """Whether the validation errors in ``info`` are over the same elements as `evaluate`'s.

        Models trained by older versions, without the entry `VALIDATED_OVER`, divided by the number
        of stored elements and left out blocks beyond the cutoff. Of molecules all elements are
        stored. Models with a guess are models of molecules.
        """
        return VALIDATED_OVER in self.info or self.config.guess != "none"

    def summary(self) -> str:
        """Basis, sizes, training set and validation errors of the model, as text.

        >>> print(wb.load_model("water").summary())
        Two-stage model of Hamiltonians in def2-svp for H, O
        ...
        """
        return _summary(self)

    def _prediction(
        self, graph: Graph, baseline: Blocks, refined: Blocks, features: Features
    ) -> Prediction:
        of_stage1, of_both = self._matrices(graph, baseline, refined)
        return Prediction(of_stage1, of_both, features, self.info.get("method", {}))

    def _matrices(self, graph: Graph, *blocks: Blocks) -> list[BlockMatrix]:
        """The Hamiltonians of these blocks; with a guess, without ghost levels."""
        matrices = [self._matrix(graph, b) for b in blocks]
        kappa = float(self.scaling.kappa)
        if not kappa:
            return matrices
        from workbench.engines.pyscf_molecules import overlap  # PySCF takes a second to import

        guess = self._matrix(graph, Blocks(graph.node_guess[:, 0], graph.pair_guess[:, 0]))
        atoms = Atoms(graph.z.numpy(), graph.pos.numpy())
        combinations = Combinations.of(overlap(atoms, self.basis))
        return restored(matrices, guess, combinations, kappa)

    def _matrix(self, graph: Graph, blocks: Blocks) -> BlockMatrix:
        edges, shifts = matrix_edges(graph)
        values = torch.cat([blocks.nodes, blocks.pairs]).double().cpu().numpy()
        if not np.isfinite(values).all():
            raise ValueError(
                "The predicted Hamiltonian is not finite, since the weights are damaged or the "
                "training diverged: load the model again, or train with a lower learning rate."
            )
        if self.basis.spinor:
            values = from_parts(values)
        return BlockMatrix(self.basis, graph.z.numpy(), edges, shifts, values)


def _summary(model: TwoStageModel) -> str:
    """See `TwoStageModel.summary`."""
    info, basis = model.info, model.basis
    sizes = [sum(p.numel() for p in m.parameters()) / 1e6 for m in (model.baseline, model.refiner)]
    start = {
        "orbitals": "superposed atomic potentials and the density matrix of their orbitals",
        "atoms": "superposed atomic potentials",
        "none": "the means of the training set",
    }
    magnetic = "" if model.config.time_reversal else " and without time-reversal symmetry"
    spin = f", with spin{magnetic}" if basis.spinor else ""
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
        first = ", ".join(f"{n} x {f}" for f, n in list(formulas.items())[:5])
        others = f" and {len(formulas) - 5} other formulas" if len(formulas) > 5 else ""
        theory = f" ({level_of_theory(info['method'])})" if info.get("method") else ""
        lines.append(f"trained on {info['dataset']['name']}{theory}: {first}{others}")
    last = {row["phase"]: row["valid_mae_ev"] for row in info.get("history", ())}
    over = "" if model.validated_as_evaluated else " (per stored element)"
    lines += [f"validation error after {k}: {MEV * v:.3g} meV{over}" for k, v in last.items()]
    if not info:
        lines.append("not trained")
    if kappa := float(model.scaling.kappa):
        lines.append(f"nearly dependent orbitals are taken from the guess, kappa = {kappa:.3g}")
    if "calibration" in info:
        lines.append(f"its error is estimated as on {info['calibration']['samples']} geometries")
    systems = "crystals and molecules" if model.config.guess == "none" else "molecules"
    lines.append(
        f"predicts {systems} of these elements; warns of structures unlike its training set"
    )
    return "\n".join(lines)
