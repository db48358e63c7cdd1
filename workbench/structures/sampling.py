"""Where the geometries of a dataset come from: thermal motion, random displacement, or a list.

Each recipe draws *batches*, geometries that belong together and must not be split between
training and test: the frames of one trajectory. A batch depends on its structure, its count and
its own random generator alone, so any batch can be redone by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from ase import Atoms, units
from ase.data import covalent_radii
from ase.md.langevin import Langevin as LangevinDynamics
from numpy.typing import NDArray

from workbench.hamiltonians.rotations import random_rotation
from workbench.structures.loading import StructureError, rotate, validate

__all__ = ["AsGiven", "Displaced", "Langevin", "RelaxedAndThermal", "Sampling", "bonded", "orient"]


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
class RelaxedAndThermal:
    """The given geometry first, then frames of one short run of dynamics that starts from it.

    For many molecules and few geometries of each. A run in which a bond broke or formed is drawn
    again: its frames are another molecule, which may belong in another split.

    Attributes:
        motion: the dynamics. Steps of 1 fs, a tenth of the fastest vibration's period, cost half
            as much as those of 0.5 fs, and no more is asked of geometries than to be plausible.
    """

    motion: Langevin = field(
        default_factory=lambda: Langevin(interval_fs=200.0, equilibration_fs=300.0, timestep_fs=1.0)
    )

    @property
    def batch(self) -> int:
        """Most geometries drawn together; a further batch begins with the given one again."""
        return 1 + self.motion.batch

    def draw(self, atoms: Atoms, count: int, rng: np.random.Generator) -> list[Atoms]:
        """The geometry itself and `count - 1` frames.

        Raises:
            ImportError: with the command that installs it, when tblite is missing.
            StructureError: when bonds changed in each of ten runs.
        """
        if count == 1:
            return [_still(atoms)]
        for _ in range(10):
            frames = self.motion.draw(atoms, count - 1, rng)
            if all(_keeps_bonds(atoms, frame) for frame in frames):
                return [_still(atoms), *frames]
        raise StructureError(
            f"{atoms.get_chemical_formula()} does not keep its bonds at "
            f"{self.motion.temperature_K:g} K: lower temperature_K, or leave it out."
        )


@dataclass(frozen=True)
class Displaced:
    """Every coordinate displaced by a normal deviate; geometries with clashing atoms are redrawn.

    Attributes:
        sigma: standard deviation of each Cartesian coordinate, A.
        batch: geometries drawn by one generator.
        strain: of crystals, largest component of a random symmetric strain along the periodic
            directions, atoms carried along.
        slide: of layers, whether the upper half is shifted by a random vector of the cell's plane.
    """

    sigma: float = 0.05
    batch: int = 100
    strain: float = 0.0
    slide: bool = False

    def draw(self, atoms: Atoms, count: int, rng: np.random.Generator) -> list[Atoms]:
        """`count` independent geometries.

        Raises:
            StructureError: when a hundred draws in turn had atoms on top of each other.
        """
        return [self._one(atoms, rng) for _ in range(count)]

    def _one(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        for _ in range(100):
            moved = _still(atoms)
            if self.strain:
                moved.set_cell(_strained(moved, self.strain, rng), scale_atoms=True)
            if self.slide:
                upper = moved.positions[:, 2] > moved.positions[:, 2].mean()
                moved.positions[upper] += rng.uniform(size=2) @ moved.cell.array[:2]
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


def _strained(atoms: Atoms, largest: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """The cell (3, 3) under a random strain in the span of its periodic vectors."""
    periodic = np.linalg.qr(atoms.cell.array[atoms.pbc].T)[0]  # (3, n), columns
    strain = rng.uniform(-largest, largest, size=(periodic.shape[1],) * 2)
    strain = periodic @ ((strain + strain.T) / 2) @ periodic.T
    return atoms.cell.array @ (np.eye(3) + strain)


def orient(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """The molecule with its centre of mass at the origin, turned by a Haar-random rotation."""
    centred = atoms.copy()
    centred.positions -= centred.get_center_of_mass()
    return rotate(centred, random_rotation(rng))


def bonded(atoms: Atoms, reach: float = 1.2) -> NDArray[np.bool_]:
    """Which atoms are bonded, (N, N) bool: nearer than `reach` times the sum of covalent radii."""
    radii = covalent_radii[atoms.numbers]  # (N,) A
    near = atoms.get_all_distances() < reach * (radii[:, None] + radii)
    return near & ~np.eye(len(atoms), dtype=bool)


def _keeps_bonds(start: Atoms, frame: Atoms) -> bool:
    """Whether no bond broke or formed; wide margins, as heat stretches and squeezes by a tenth."""
    before = bonded(start)
    kept = bool(bonded(frame, 1.4)[before].all())
    return kept and not bool(bonded(frame, 1.05)[~before].any())


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
