"""Which settings determine the shape of a model?

One small frozen record holds all of them. A checkpoint stores it as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.irreps import BlockIrreps
from workbench.hamiltonians.spin_parts import SIGNS
from workbench.storage.value_checks import Range, check_fields, from_json

GUESSES = {"none": 0, "atoms": 1, "orbitals": 2}
"""Initial guess -> number of matrices that it consists of."""

_L = Annotated[int, Range(0, 12)]  # the highest l of e3nn's spherical harmonics is 12
_Layers = Annotated[int, Range(1, 64)]
_Copies = Annotated[int, Range(1, 4096)]  # of an irrep; weights grow with the square
_Width = Annotated[int, Range(1, 16384)]


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
        guess: initial guess of the Hamiltonian. "orbitals": the model corrects the Hamiltonian of
            superposed atomic potentials, and reads that Hamiltonian and the density matrix of its
            orbitals; for molecules in a basis that PySCF knows. "atoms": it reads that Hamiltonian
            only. "none": no initial guess, the model corrects the means of the training set.
        cutoff: longest pair that exchanges messages and has a block, A; None for all pairs of a
            molecule. "data", the default: `train` sets it to what the training and validation
            sets reach. For crystals that is their longest stored block plus 5 %, since predictions
            go to zero smoothly at the cutoff. For molecules it is 10 A, so that a model of small
            molecules can be applied to larger ones; it is more only if a longer block is not zero
            at the resolution of the dataset. In an atom-centred basis blocks end there, so large
            molecules do not become slow.
        lmax: highest l of stage 1's features; 2 x the highest l of the basis reaches every element.
        pseudo_lmax: highest l of the pseudo-tensor features. Their parity is -(-1)^l, as that of
            axial vectors.
        channels: copies of each irrep in stage 1.
        layers: message-passing layers of stage 1.
        radial: radial functions per pair.
        readout: copies of each irrep that the readout of on-site blocks reads.
        pair_readout: copies of each irrep that the readout of pair blocks reads.
        refiner_width: channels of stage 2's tokens.
        refiner_heads: attention heads of stage 2.
        refiner_layers: Transformer layers of stage 2.
        refiner_frame: frame in which stage 2 works. "global", as in the paper: stage 2 learns the
            symmetry from rotated data; "local": stage 2 works in local frames that rotate with the
            structure, and is exactly equivariant under rotations.
        refiner_mirrors: whether stage 2 in local frames is averaged over inversion. Its correction
            is then the mean over the structure and its inverted copy. It is exactly equivariant
            under inversion, too, and takes twice the time.
        refiner_features: whether stage 2 reads stage 1's features. Without them it reads only the
            geometry and the baseline's blocks. For ablations.
        refiner_guess: whether stage 2 reads the initial guess, where there is one.
        refiner_baseline: whether stage 2 corrects the baseline. Without it stage 2 does not read
            the baseline and predicts the whole difference from guess and mean. For ablations.
        time_reversal: whether Hamiltonians with spin are invariant under time reversal. All
            non-magnetic ones are. Four of the eight real parts of a block are then zero, and only
            the other half is predicted.
    """

    guess: Literal["none", "atoms", "orbitals"] = "orbitals"
    cutoff: Annotated[float, Range(0, 100, above=True)] | Literal["data"] | None = "data"
    lmax: _L = 4
    pseudo_lmax: _L = 2
    channels: _Copies = 24
    layers: _Layers = 2
    radial: _Copies = 12
    readout: _Copies = 192
    pair_readout: _Copies = 48
    refiner_width: _Width = 128
    refiner_heads: _Copies = 4
    refiner_layers: Annotated[int, Range(0, 64)] = 2
    refiner_frame: Literal["global", "local"] = "global"
    refiner_mirrors: bool = True
    refiner_features: bool = True
    refiner_guess: bool = True
    refiner_baseline: bool = True
    time_reversal: bool = True

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: for a value of another kind, a size outside its range, or an unknown option.
        """
        check_fields(self)
        if self.refiner_width % self.refiner_heads:
            raise ValueError(
                "ModelConfig.refiner_width must be a multiple of refiner_heads: "
                f"{self.refiner_width} is not a multiple of {self.refiner_heads}."
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
        """The configuration that ``to_json`` wrote, possibly in a version with fewer settings.

        Raises:
            ValueError: for an unknown field, or a value that the configuration cannot have.
        """
        return from_json(cls, {**_older_files(data), **data} if isinstance(data, Mapping) else data)


def _older_files(data: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the settings that files of older versions do not contain."""
    channels = data.get("channels", ModelConfig.channels)
    twice = 2 * channels if isinstance(channels, int) else channels
    return {
        "guess": "none",
        "cutoff": 10.0,
        "pair_readout": twice,
        "refiner_guess": False,
        "refiner_mirrors": False,
    }
