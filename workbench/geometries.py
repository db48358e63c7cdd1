"""Where the geometries of a dataset come from: thermal motion, random displacement, or a list.

Each recipe draws *batches*, geometries that belong together and must not be split between
training and test: the frames of one trajectory. A batch depends on its structure, its count and
its own random generator alone, so any batch can be redone by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin as LangevinDynamics

from workbench.conventions import random_rotation
from workbench.structures import StructureError, rotate, validate

__all__ = ["AsGiven", "Displaced", "Langevin", "Sampling", "orient"]


class Sampling(Protocol):
    """How to draw geometries of a structure; a frozen dataclass, so that it can be recorded."""

    @property
    def batch(self) -> int:
        """Most geometries drawn together."""
        ...

    def draw(self, atoms: Atoms, count: int, rng: np.random.Generator) -> list[Atoms]:
        """`count` geometries of one batch."""
        ...


@dataclass(frozen=True)
class Langevin:
    """Frames of Langevin molecular dynamics on the GFN2-xTB surface (tblite, an optional extra).

    Every batch is a trajectory of its own: fresh velocities, then equilibration, then frames.
    A friction of 0.05/fs makes the energy forget its past in about 20 fs, well below the spacing.

    Attributes:
        temperature_K: of the thermostat.
        batch: frames per trajectory.
        interval_fs: time between two frames.
        equilibration_fs: time before the first.
        timestep_fs: of the integrator.
        friction_per_fs: of the thermostat.
    """

    temperature_K: float = 500.0
    batch: int = 50
    interval_fs: float = 100.0
    equilibration_fs: float = 1000.0
    timestep_fs: float = 0.5
    friction_per_fs: float = 0.05

    def draw(self, atoms: Atoms, count: int, rng: np.random.Generator) -> list[Atoms]:
        """`count` frames of one trajectory that starts at `atoms`.

        Raises:
            ImportError: with the command that installs it, when tblite is missing.
        """
        moving = atoms.copy()
        moving.calc = _gfn2(int(atoms.info.get("charge", 0)))
        spread = np.sqrt(moving.get_masses() * (units.kB * self.temperature_K))  # (N,)
        moving.set_momenta(rng.standard_normal((len(moving), 3)) * spread[:, None])
        dynamics = LangevinDynamics(
            moving,
            self.timestep_fs * units.fs,
            temperature_K=self.temperature_K,
            friction=self.friction_per_fs / units.fs,
            fixcm=False,  # ASE: pinning the centre of mass this way does not sample the ensemble
            rng=rng,
        )
        dynamics.run(round(self.equilibration_fs / self.timestep_fs))
        frames = []
        for _ in range(count):
            dynamics.run(round(self.interval_fs / self.timestep_fs))
            frames.append(_still(moving))
        return frames


@dataclass(frozen=True)
class Displaced:
    """Every coordinate displaced by a normal deviate; geometries with clashing atoms are redrawn.

    Attributes:
        sigma: standard deviation of each Cartesian coordinate, A.
        batch: geometries drawn by one generator.
    """

    sigma: float = 0.05
    batch: int = 100

    def draw(self, atoms: Atoms, count: int, rng: np.random.Generator) -> list[Atoms]:
        """`count` independent geometries.

        Raises:
            StructureError: when a hundred draws in turn had atoms on top of each other.
        """
        return [self._one(atoms, rng) for _ in range(count)]

    def _one(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        for _ in range(100):
            moved = _still(atoms)
            moved.positions += rng.normal(scale=self.sigma, size=moved.positions.shape)
            try:
                return validate(moved)
            except StructureError:
                continue
        raise StructureError(f"A displacement of {self.sigma} A makes atoms clash: lower sigma.")


@dataclass(frozen=True)
class AsGiven:
    """The structure itself, unmoved: for geometries that come from elsewhere."""

    batch: int = 1

    def draw(self, atoms: Atoms, count: int, rng: np.random.Generator) -> list[Atoms]:
        """`count` copies."""
        return [_still(atoms) for _ in range(count)]


def orient(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """The molecule with its centre of mass at the origin, turned by a Haar-random rotation."""
    centred = atoms.copy()
    centred.positions -= centred.get_center_of_mass()
    return rotate(centred, random_rotation(rng))


def _still(atoms: Atoms) -> Atoms:
    """Elements, positions, charge and spin alone."""
    info = {key: int(atoms.info.get(key, 0)) for key in ("charge", "spin")}
    return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=info)


def _gfn2(charge: int) -> Any:
    try:
        from tblite.ase import TBLite
    except ImportError as error:
        raise ImportError(
            "Langevin geometries need GFN2-xTB forces: pip install tblite, or use Displaced()."
        ) from error
    return TBLite(method="GFN2-xTB", charge=charge, verbosity=0)
