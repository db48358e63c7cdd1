"""The engine and settings of a label job, and the arrays in which a label waits on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.datasets.dataset import Sample
from workbench.engines import Reference, SCFError, dispatch
from workbench.engines.pyscf_molecules import basis_of
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix, aligned
from workbench.structures.loading import StructureError

__all__ = ["LabelSettings", "label_arrays", "sample_of"]

_NOT_RECORDED = ("max_cycle",)  # decides no label's value, so a job may be resumed with more cycles


@dataclass(frozen=True)
class LabelSettings:
    """The engine of a job and its settings, those of `workbench.reference`.

    Attributes:
        periodic: whether the job labels crystals.
        engine: "pyscf" or "gpaw".
        basis: name; None for the engine's default.
        xc: functional.
        settings: all other settings.
    """

    periodic: bool
    engine: str
    basis: str | None
    xc: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        structures: Sequence[Atoms],
        engine: str,
        basis: str | None,
        xc: str,
        settings: Mapping[str, Any],
    ) -> LabelSettings:
        """The settings of a job, checked on its structures before anything is computed.

        Raises:
            StructureError: for molecules and crystals in one job, or a structure that makes no
                sense.
            ValueError: for an engine, basis, functional or setting that is unknown.
            RuntimeError: for an engine that is not installed.
        """
        periodic = [bool(atoms.pbc.any()) for atoms in structures]
        if len(set(periodic)) != 1:
            raise StructureError("A job labels molecules or crystals, not both: make two datasets.")
        chosen = dispatch.engine_for(engine, periodic[0], settings)
        for atoms in structures:  # raises here what a worker would raise later
            chosen.check(atoms, basis, xc, **chosen.accepted(settings))
        return cls(periodic[0], engine, basis, xc, settings)

    def recorded(self) -> dict[str, Any]:
        """All settings that decide a label, JSON-able."""
        kept = {k: v for k, v in self.settings.items() if k not in _NOT_RECORDED}
        kept = json.loads(json.dumps(kept))  # a file gives tuples back as lists
        return dispatch.recorded(self.engine, self.periodic, self.basis, self.xc, kept)

    def defaults(self) -> dict[str, Any]:
        """The settings that decide a label, are not `recorded`, and have their default values.

        They are no part of the recipe: a job that was begun before they were noted continues.
        """
        left = dispatch.defaults(self.engine, self.periodic, self.settings)
        return {name: v for name, v in left.items() if name not in _NOT_RECORDED}

    def solve(self, atoms: Atoms) -> dict[str, Any] | str:
        """The label of one geometry, or the sentence of its failure."""
        try:
            label = dispatch.reference(
                atoms, self.basis, self.xc, engine=self.engine, **self.settings
            )
        except SCFError as error:
            return str(error)
        return label_arrays(label, self.periodic)


def label_arrays(label: Reference, periodic: bool) -> dict[str, Any]:
    """A molecule's dense H, or one block of each hermitian pair of a crystal, and the numbers."""
    numbers = {"energy": label.energy, "n_electrons": label.n_electrons}
    if not periodic:
        return {"hamiltonian": label.H.dense(), **numbers}
    H, S = aligned(label.H, label.S)
    half = H.half
    return {
        "basis": json.dumps(H.basis.to_json()),
        "edges": H.edges[:, half],
        "shifts": H.shifts[half],
        "hamiltonian": H.values[half],
        "overlap": (S.without_spin() if S.basis.spinor else S).values[half],
        "fermi_level": label.fermi_level,
        **numbers,
    }


def sample_of(
    atoms: Atoms, arrays: Mapping[str, NDArray[Any]], group: int, basis_name: str
) -> Sample:
    """The sample that `label_arrays` stored.

    Args:
        atoms: its geometry.
        arrays: those of `label_arrays`.
        group: of the sample.
        basis_name: of a molecule's basis; the label of a crystal holds its basis.
    """
    numbers: dict[str, Any] = {
        "energy": float(arrays["energy"]),
        "n_electrons": int(arrays["n_electrons"]),
        "group": group,
    }
    if "edges" not in arrays:
        dense = arrays["hamiltonian"]
        basis = replace(basis_of(basis_name, atoms.numbers), spinor=np.iscomplexobj(dense))
        H = BlockMatrix.from_dense(basis, atoms.numbers, dense)
        return Sample(atoms, H, **numbers)
    basis = Basis.from_json(json.loads(str(arrays["basis"])))
    scalar = Basis(basis.name, basis.shells)
    pairs = atoms.numbers.astype(np.int64), arrays["edges"], arrays["shifts"]
    S = BlockMatrix.from_half(scalar, *pairs, arrays["overlap"])
    return Sample(
        atoms,
        BlockMatrix.from_half(basis, *pairs, arrays["hamiltonian"]),
        **numbers,
        stored_overlap=S.with_spin() if basis.spinor else S,
        fermi_level=float(arrays["fermi_level"]),
    )
