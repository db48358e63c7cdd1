"""Six published sets of crystals on which networks for Hamiltonians are compared.

They were computed with OpenMX (PBE) for DeepH and DeepH-E3 (Gong et al. 2023, doi
10.1038/s41467-023-38468-8) and are on Zenodo (records 6555484, 7553640, 7553827 and 7553843) in the
folder format of `workbench.datasets.formats.deeph`.
Models are trained on cells without twist, and tested on other cells without twist ("test") and,
for bilayers, on twisted cells ("twisted").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = [
    "LITERATURE",
    "PUBLISHED_SHARES",
    "SYSTEMS",
    "BenchmarkSystem",
    "benchmark_system",
]

PUBLISHED_SHARES: Mapping[str, float] = {"train": 0.6, "valid": 0.2, "test": 0.2}
"""Split shares of the public sets of DeepH-E3: 180, 60 and 60 of BG's 300 structures."""

LITERATURE = (
    "Literature: MAE_all in meV on the large published sets, quoted from memory and not checked "
    "again; for plausibility only, and not to be compared with sets of another origin or size."
)
"""The note beside every value of `BenchmarkSystem.literature`."""


@dataclass(frozen=True)
class BenchmarkSystem:
    """One of the six sets.

    Attributes:
        code: abbreviation in the literature.
        name: full name.
        elements: symbols of all its elements.
        spin_orbit: whether it was computed with spin-orbit coupling.
        structures: number of published structures without twist, as text.
        literature: split -> method -> MAE_all, meV; see `LITERATURE`.
        shares: split -> share of the structures. For BB, BT and BS no published split is known;
            the shares of the other sets are used.
    """

    code: str
    name: str
    elements: tuple[str, ...]
    spin_orbit: bool
    structures: str
    literature: Mapping[str, Mapping[str, float]]
    shares: Mapping[str, float] = field(default_factory=lambda: PUBLISHED_SHARES)

    @property
    def mini(self) -> str:
        """Name of our small counterpart among the bundled datasets and checkpoints."""
        return f"{self.code.lower()}-mini"


def _errors(deeph_e3: float, tracegrad: float) -> Mapping[str, float]:
    """DeepH-E3 alone, and with TraceGrad (arXiv 2405.05722)."""
    return {"DeepH-E3": deeph_e3, "TraceGrad": tracegrad}


SYSTEMS: Mapping[str, BenchmarkSystem] = {
    system.code: system
    for system in (
        BenchmarkSystem(
            *("MG", "monolayer graphene", ("C",), False, "450"),
            {"test": _errors(0.25, 0.18)},
        ),
        BenchmarkSystem(
            *("MM", "monolayer MoS2", ("Mo", "S"), False, "500"),
            {"test": _errors(0.41, 0.29)},
        ),
        BenchmarkSystem(
            *("BG", "bilayer graphene", ("C",), False, "300"),
            {"test": _errors(0.39, 0.29), "twisted": _errors(0.26, 0.20)},
        ),
        BenchmarkSystem(
            *("BB", "bilayer bismuthene", ("Bi",), True, "576"),
            {"test": _errors(0.27, 0.23), "twisted": _errors(0.47, 0.38)},
        ),
        BenchmarkSystem(
            *("BT", "bilayer Bi2Te3", ("Bi", "Te"), True, "about 250"),
            {"test": _errors(0.45, 0.30), "twisted": _errors(0.83, 0.74)},
        ),
        BenchmarkSystem(
            *("BS", "bilayer Bi2Se3", ("Bi", "Se"), True, "about 350"),
            {"test": _errors(0.40, 0.30), "twisted": _errors(0.37, 0.29)},
        ),
    )
}
"""All six by code."""


def benchmark_system(code: str) -> BenchmarkSystem:
    """One of the six sets by its code, in upper or lower case.

    Raises:
        ValueError: for an unknown code; the message lists the known ones.

    >>> benchmark_system("bg").name
    'bilayer graphene'
    """
    if code.upper() not in SYSTEMS:
        known = ", ".join(f"{s.code} ({s.name})" for s in SYSTEMS.values())
        raise ValueError(f"There is no benchmark system {code!r}: choose one of {known}.")
    return SYSTEMS[code.upper()]
