"""Which settings determine the shape of a model?

One small frozen record holds all of them. A checkpoint stores it as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.irreps import BlockIrreps
from workbench.hamiltonians.spin_parts import SIGNS

GUESSES = {"none": 0, "atoms": 1, "orbitals": 2}
"""Initial guess -> number of matrices that it consists of."""


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of both stages.

    The names ``refiner_...`` set stage 2; all others but ``guess``, ``cutoff`` and
    ``time_reversal`` set stage 1.

    >>> config = wb.ModelConfig(guess="none", cutoff=6.0, channels=16)
    >>> wb.ModelConfig.from_json(config.to_json()) == config
    True
    >>> wb.ModelConfig(refiner_width=30)
    Traceback (most recent call last):
    ValueError: ModelConfig.refiner_width must be a multiple of refiner_heads: 30 is not ... 4.

    Attributes:
        guess: "orbitals": the model corrects the Hamiltonian of superposed atomic potentials, and
            reads that Hamiltonian and the density matrix of its orbitals; for molecules in a basis
            that PySCF knows. "atoms": it reads that Hamiltonian only. "none": no initial guess,
            the model corrects the means of the training set.
        cutoff: longest pair that exchanges messages and has a block, A; None for all pairs of a
            molecule. "data", the default: `train` sets it to what the training and validation
            sets reach. For crystals that is their longest stored block plus 5 %, since predictions
            go to zero smoothly at the cutoff. For molecules it is 10 A, so that a model of small
            molecules can be applied to larger ones; it is more only if a longer block is not zero
            at the resolution of the dataset. In an atom-centred basis blocks end there, so large
            molecules do not become slow.
        lmax: highest l of stage 1's features; 2 x the highest l of the basis reaches every element.
        pseudo_lmax: highest l of the pseudo-tensor features, of parity -(-1)^l (axial vectors ...).
        channels: copies of each irrep in stage 1.
        layers: message-passing layers of stage 1.
        radial: radial functions per pair.
        readout: copies of each irrep that the readout of on-site blocks reads.
        pair_readout: copies of each irrep that the readout of pair blocks reads.
        refiner_width: channels of stage 2's tokens.
        refiner_heads: attention heads of stage 2.
        refiner_layers: Transformer layers of stage 2.
        refiner_frame: "global", as in the paper: stage 2 learns the symmetry from rotated data;
            "local": stage 2 works in local frames that rotate with the structure, and is exactly
            equivariant under rotations.
        refiner_mirrors: whether stage 2 in local frames averages its correction over the structure
            and its inverted copy. It is then exactly equivariant under inversion, too, and takes
            twice the time.
        refiner_features: whether stage 2 reads stage 1's features. Without them it reads only the
            geometry and the baseline's blocks. For ablations.
        refiner_guess: whether stage 2 reads the initial guess, where there is one.
        refiner_baseline: whether stage 2 corrects the baseline. Without it stage 2 does not read
            the baseline and predicts the whole difference from guess and mean. For ablations.
        time_reversal: whether Hamiltonians with spin are invariant under time reversal, as all
            non-magnetic ones are. Four of the eight real parts of a block are then zero, and only
            the other half is predicted.
    """

    guess: str = "orbitals"
    cutoff: float | Literal["data"] | None = "data"
    lmax: int = 4
    pseudo_lmax: int = 2
    channels: int = 24
    layers: int = 2
    radial: int = 12
    readout: int = 192
    pair_readout: int = 48
    refiner_width: int = 128
    refiner_heads: int = 4
    refiner_layers: int = 2
    refiner_frame: str = "global"
    refiner_mirrors: bool = True
    refiner_features: bool = True
    refiner_guess: bool = True
    refiner_baseline: bool = True
    time_reversal: bool = True

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: for a size below 1 or an unknown option.
        """
        sizes = ("channels", "layers", "radial", "readout", "pair_readout")
        for name in (*sizes, "refiner_width", "refiner_heads"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"ModelConfig.{name} must be at least 1, not {getattr(self, name)}."
                )
        if self.guess not in GUESSES:
            raise ValueError(
                f"ModelConfig.guess must be one of {', '.join(GUESSES)}, not {self.guess!r}."
            )
        if self.refiner_frame not in ("global", "local"):
            raise ValueError(
                "ModelConfig.refiner_frame must be 'global' or 'local', "
                f"not {self.refiner_frame!r}."
            )
        if self.refiner_width % self.refiner_heads:
            raise ValueError(
                "ModelConfig.refiner_width must be a multiple of refiner_heads: "
                f"{self.refiner_width} is not a multiple of {self.refiner_heads}."
            )
        if isinstance(self.cutoff, str) and self.cutoff != "data":
            raise ValueError(
                f"ModelConfig.cutoff must be a number, None or 'data', not {self.cutoff!r}."
            )
        if not isinstance(self.cutoff, str | None) and self.cutoff <= 0:
            raise ValueError(
                f"ModelConfig.cutoff must be positive, or None for all pairs, not {self.cutoff}."
            )

    @property
    def longest_pair(self) -> float | None:
        """`cutoff` in A, or None for all pairs of a molecule.

        Raises:
            ValueError: while `cutoff` is "data": a model without data needs a number.
        """
        if isinstance(self.cutoff, str):
            raise ValueError(
                "ModelConfig.cutoff is 'data', which `train` replaces by a number: set a number, "
                "or None for all pairs of a molecule."
            )
        return self.cutoff

    def check(self, basis: Basis) -> None:
        """Check that the features reach every irrep of a basis's on-site blocks.

        Raises:
            ValueError: if ``lmax`` or ``pseudo_lmax`` is too small, or a guess is combined with
                spin.
        """
        if basis.spinor and self.guess != "none":
            raise ValueError("A guess has no spin: train spinors with guess='none' (ModelConfig).")
        on_site = [
            p
            for p in BlockIrreps(basis, self.time_reversal).paths
            if p.row_shell != p.column_shell or (-1) ** p.orbital == SIGNS[p.part]
        ]
        needed = max(p.l for p in on_site if p.natural)
        pseudo = max((p.l for p in on_site if p.pseudo), default=0)
        if self.lmax < needed or self.pseudo_lmax < pseudo:
            spin = " and spin" if basis.spinor else ""
            raise ValueError(
                f"The basis {basis.name} has shells up to l = {max(basis.layout)}{spin}; its "
                f"on-site blocks need ModelConfig(lmax={max(self.lmax, needed)}, "
                f"pseudo_lmax={max(self.pseudo_lmax, pseudo)})."
            )

    def to_json(self) -> dict[str, Any]:
        """A JSON-able dictionary; ``from_json`` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelConfig:
        """The configuration that ``to_json`` wrote, possibly in a version with fewer settings."""
        # Values of settings that files of older versions do not contain.
        older_files = {
            "guess": "none",
            "cutoff": 10.0,
            "pair_readout": 2 * data.get("channels", cls.channels),
            "refiner_guess": False,
            "refiner_mirrors": False,
        }
        return cls(**{**older_files, **data})
