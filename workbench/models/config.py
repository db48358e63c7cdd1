"""Everything that decides a model's shape, in one small frozen record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.irreps import BlockIrreps
from workbench.hamiltonians.spin_parts import SIGNS

GUESSES = {"none": 0, "atoms": 1, "orbitals": 2}
"""What a model may start from, and of how many matrices each consists."""


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of both stages.

    Attributes:
        guess: "orbitals": the model corrects the Hamiltonian of superposed atomic potentials, and
            reads it and the density matrix of its orbitals, for molecules in a basis that PySCF
            knows; "atoms": it reads that Hamiltonian alone; "none": it starts from nothing.
        cutoff: longest pair that exchanges messages and gets a block, in A; None for all pairs of
            a molecule. Within 10 A an atom-centred basis has all its sizeable elements.
        lmax: highest l of stage 1's features; 2 x the basis's highest l reaches every element.
        pseudo_lmax: highest l of the features of the other parity (axial vectors and so on).
        channels: copies of each irrep in stage 1.
        layers: message-passing layers of stage 1.
        radial: radial functions per pair.
        readout: copies of each irrep that an on-site block is read from.
        pair_readout: copies of each irrep that a pair's block is read from.
        refiner_width: channels of stage 2's tokens.
        refiner_heads: attention heads of stage 2.
        refiner_layers: Transformer layers of stage 2.
        refiner_frame: "global", the paper's: stage 2 learns the symmetry; or "local": it works in
            axes that turn with the structure and is exactly equivariant under rotations.
        refiner_mirrors: whether stage 2 in local axes corrects by the mean over the structure and
            its image under inversion: then exactly equivariant under that, too, for twice its time.
        refiner_features: whether stage 2 reads stage 1's features; without them only geometry
            and the baseline's blocks. For comparison.
        refiner_guess: whether stage 2 reads the guess, where there is one.
        refiner_baseline: whether stage 2 corrects the baseline. Without it stage 2 predicts all
            that is left beside the mean, and does not see the baseline. For comparison.
        time_reversal: whether Hamiltonians with spin obey it, as all do but magnetic ones; built
            in, it leaves half the numbers to predict.
    """

    guess: str = "orbitals"
    cutoff: float | None = 10.0
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
        """Refuse sizes that no network can have."""
        sizes = ("channels", "layers", "radial", "readout", "pair_readout")
        for name in (*sizes, "refiner_width", "refiner_heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"ModelConfig.{name} must be at least 1.")
        if self.guess not in GUESSES:
            raise ValueError(f"ModelConfig.guess must be one of {', '.join(GUESSES)}.")
        if self.refiner_frame not in ("global", "local"):
            raise ValueError("ModelConfig.refiner_frame must be 'global' or 'local'.")
        if self.refiner_width % self.refiner_heads:
            raise ValueError("ModelConfig.refiner_width must be a multiple of refiner_heads.")
        if self.cutoff is not None and self.cutoff <= 0:
            raise ValueError("ModelConfig.cutoff must be positive, or None for all pairs.")

    def check(self, basis: Basis) -> None:
        """Refuse a basis whose on-site blocks hold irreps that the features cannot reach."""
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
        """The configuration that ``to_json`` described, also by a version with fewer settings."""
        then = {
            "guess": "none",
            "pair_readout": 2 * data.get("channels", cls.channels),
            "refiner_guess": False,
            "refiner_mirrors": False,
        }
        return cls(**{**then, **data})
