"""The words in a dataset's header by which its matrices are unpacked without the workbench."""

from __future__ import annotations

from workbench.datasets.schema import BLOCKS
from workbench.hamiltonians.basis import Basis

__all__ = ["reading_guide"]

_HARMONICS = (
    "orbitals are radial functions times real spherical harmonics without the Condon-Shortley "
    "phase, sin(|m| phi) for m < 0 and cos(m phi) for m > 0: p = (y, z, x), d = (xy, yz, 3z2-r2, "
    "xz, x2-y2), f = (y(3x2-y2), xyz, y(5z2-r2), z(5z2-3r2), x(5z2-r2), z(x2-y2), x(x2-3y2))"
)
_TRIANGLE = (
    "the upper triangle with its diagonal, row by row: M[0,0], M[0,1], ..., M[0,n-1], M[1,1], ..., "
    "M[n-1,n-1]; the lower one is M[j,i] = conj(M[i,j])"
)
_ORBITALS = (
    "atom after atom as in atoms/numbers; of an atom the shells in the order of "
    "basis/shells[atomic number], each given by its l; of a shell m = -l, ..., l"
)
_BLOCK_LIST = (
    "one block of each row (i, j, T1, T2, T3) of pairs/values[pairs/offset[k] : pairs/offset[k+1]] "
    "for sample k, in this order, each block row by row: the elements between the orbitals of atom "
    "i in the cell 0 (rows) and of atom j in the cell T (columns); the block (j, i, -T) is its "
    "adjoint; H(k) = sum over T of exp(2 pi i k.T) H(T), k in fractions"
)
_BLOCK_ORBITALS = (
    "of an atom all s shells, then all p shells, and so on by ascending l; shells of one l in the "
    "order of basis/shells[atomic number]; of a shell m = -l, ..., l"
)
_SPIN = "first all orbitals with spin up along z, then the same orbitals with spin down"


def reading_guide(basis: Basis, layout: str) -> dict[str, str]:
    """What the arrays of a dataset mean, one sentence for each question.

    Args:
        basis: of the dataset.
        layout: `TRIANGLES` or `BLOCKS` of `workbench.datasets.schema`.
    """
    crystals = layout == BLOCKS
    guide = {
        "samples": "sample k owns the rows offset[k] to offset[k+1] (not included) of the values "
        "beside each offset",
        "hamiltonian": "matrix element in eV = integer in hamiltonian/values * step",
        "overlap": "matrix element = number in overlap/values; where absent, it follows from the "
        "functions of the basis",
        "elements": _BLOCK_LIST if crystals else _TRIANGLE,
        "orbitals": _BLOCK_ORBITALS if crystals else _ORBITALS,
        "harmonics": _HARMONICS,
    }
    if basis.spinor:
        where = "rows and columns of a block" if crystals else "rows and columns"
        guide["spin"] = f"{where} of H: {_SPIN}; the overlap is stored without spin"
        guide["complex"] = (
            "the numbers of a sample of H are first the real parts of all its elements, then all "
            "imaginary parts"
        )
    return guide
