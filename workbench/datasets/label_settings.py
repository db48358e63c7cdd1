"""How a label job solves one geometry, and the arrays in which a label waits on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from workbench.datasets.dataset import Sample
from workbench.engines import Reference, SCFError, pyscf_spinors
from workbench.engines.dispatch import check_engine, reference
from workbench.engines.pyscf_molecules import basis_of, method, solver
from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.block_matrix import BlockMatrix, aligned
from workbench.structures.loading import StructureError

__all__ = ["LabelSettings", "label_arrays", "sample_of"]

_EITHER = {"grid": 4, "conv_tol_grad": 1e-8, "max_cycle": 100}
_MOLECULES = {**_EITHER, "density_fitting": False}
_SPINORS = {**_EITHER, "relativity": "ecp", "spin_orbit": True}
_NO_VALUE = ("max_cycle",)  # decides no label's value, so a job may be taken up with more


@dataclass(frozen=True)
class LabelSettings:
    """The engine of a job and its settings, those of `workbench.reference`.

    Attributes:
        periodic: whether the job is about crystals.
        engine: "pyscf" or "gpaw".
        basis: name; None for the engine's own choice.
        xc: functional.
        settings: all others.
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
        """The way of a job, checked on its structures before anything is computed.

        Raises:
            StructureError: for molecules among crystals, or a structure that makes no sense.
            ValueError: for an engine, basis, functional or setting that is unknown.
            RuntimeError: for an engine that is not installed.
        """
        periodic = [bool(atoms.pbc.any()) for atoms in structures]
        if len(set(periodic)) != 1:
            raise StructureError("A job labels molecules or crystals, not both: make two datasets.")
        check_engine(engine, periodic[0], settings)
        if periodic[0]:
            return cls(True, engine, basis, xc, settings)
        coupled = settings.get("spin_orbit", False)
        settings = {**(_SPINORS if coupled else _MOLECULES), **settings}
        grid = settings["grid"]
        if coupled:
            relativity = settings["relativity"]
            for atoms in structures:  # raises where a worker would
                pyscf_spinors.solver(atoms, basis, xc, grid, relativity=relativity)
            return cls(False, engine, basis or pyscf_spinors.BASES[relativity], xc, settings)
        basis = basis or "def2-svp"
        for atoms in structures:
            solver(atoms, basis, xc, grid)
        return cls(False, engine, basis, xc, settings)

    def recorded(self) -> dict[str, Any]:
        """All that decides a label, JSON-able."""
        kept = {k: v for k, v in self.settings.items() if k not in _NO_VALUE}
        kept = json.loads(json.dumps(kept))  # tuples come back from a file as lists
        if not self.periodic:
            record = pyscf_spinors.method if kept.pop("spin_orbit", False) else method
            return record(self.basis or "", self.xc, **kept)
        return {
            "engine": self.engine,
            "basis": self.basis,
            "functional": self.xc,
            **kept,
            "version": version(self.engine),
        }

    def solve(self, atoms: Atoms) -> dict[str, Any] | str:
        """The label of one geometry, or the sentence of its failure."""
        try:
            made = reference(atoms, self.basis, self.xc, engine=self.engine, **self.settings)
        except SCFError as error:
            return str(error)
        return label_arrays(made, self.periodic)


def label_arrays(made: Reference, periodic: bool) -> dict[str, Any]:
    """What is kept of a reference: of a molecule the dense H, of a crystal half its blocks."""
    numbers = {"energy": made.energy, "n_electrons": made.n_electrons}
    if not periodic:
        return {"hamiltonian": made.H.dense(), **numbers}
    H, S = aligned(made.H, made.S)
    half = H.half
    return {
        "basis": json.dumps(H.basis.to_json()),
        "edges": H.edges[:, half],
        "shifts": H.shifts[half],
        "hamiltonian": H.values[half],
        "overlap": (S.without_spin() if S.basis.spinor else S).values[half],
        "fermi_level": made.fermi_level,
        **numbers,
    }


def sample_of(
    atoms: Atoms, arrays: Mapping[str, NDArray[Any]], group: int, basis_name: str
) -> Sample:
    """The sample that `label_arrays` put away.

    Args:
        atoms: its geometry.
        arrays: what was kept.
        group: of the sample.
        basis_name: of a molecule's basis; a crystal's label holds its own.
    """
    rest: dict[str, Any] = {
        "energy": float(arrays["energy"]),
        "n_electrons": int(arrays["n_electrons"]),
        "group": group,
    }
    if "edges" not in arrays:
        dense = arrays["hamiltonian"]
        basis = replace(basis_of(basis_name, atoms.numbers), spinor=np.iscomplexobj(dense))
        H = BlockMatrix.from_dense(basis, atoms.numbers, dense)
        return Sample(atoms, H, **rest)
    basis = Basis.from_json(json.loads(str(arrays["basis"])))
    scalar = Basis(basis.name, basis.shells)
    pairs = atoms.numbers.astype(np.int64), arrays["edges"], arrays["shifts"]
    S = BlockMatrix.from_half(scalar, *pairs, arrays["overlap"])
    return Sample(
        atoms,
        BlockMatrix.from_half(basis, *pairs, arrays["hamiltonian"]),
        **rest,
        stored_overlap=S.with_spin() if basis.spinor else S,
        fermi_level=float(arrays["fermi_level"]),
    )
