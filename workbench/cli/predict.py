"""The command ``predict``: one structure with all that is known of it, or many, one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.options import (
    BandFiles,
    BandPath,
    BandPoints,
    Charge,
    Electrons,
    Indices,
    Json,
    Layout,
    ModelName,
    OverlapFile,
    Overwrite,
    Spin,
    Structure,
    lines,
    number,
    show,
)
from workbench.cli.prediction_notes import load_with_origin, notes
from workbench.cli.prediction_properties import further_properties, readable

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    from workbench.engines import Overlap
    from workbench.evaluation.predicted import Predicted
    from workbench.models.twostage import TwoStageModel


@dataclass(frozen=True)
class _Results:
    """What shall be written for one structure, each None or empty where it was not asked for."""

    out: Path | None
    warm_start: Path | None
    deeph: Path | None
    layout: Layout
    bands: list[Path]

    def check(self, sources: list[str], overwrite: bool) -> None:
        """Refuse results that cannot be written, before anything is computed."""
        from workbench.storage.output_check import check_writable
        from workbench.storage.writing_errors import TargetError
        from workbench.views.band_files import check_ending

        if self.out and self.warm_start and self.out.resolve() == self.warm_start.resolve():
            raise ValueError(f"--out and --warm-start both name {self.out}: choose two files.")
        for path in (self.out, self.warm_start, *self.bands):
            if path is not None:
                check_writable(path, sources=sources, overwrite=overwrite)
        for path in self.bands:
            check_ending(path)
        if self.deeph is None:
            return
        check_writable(self.deeph, folder=True)
        if self.deeph.is_dir() and any(self.deeph.iterdir()) and not overwrite:
            raise TargetError(
                f"{self.deeph} is not empty: choose another folder, or replace its files with "
                "--overwrite."
            )


def predict(
    source: Structure,
    model: ModelName = "water",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Write H of both stages, S and the structure: .npz, or a dataset .h5. Of several "
            "structures a folder of .npz files, or one .h5.",
        ),
    ] = None,
    warm_start: Annotated[
        Path | None,
        typer.Option(help="Write a density matrix for PySCF's kernel(dm0=...), .npy."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Molecules: estimate the error by one Fock matrix, seconds."),
    ] = False,
    properties: Annotated[
        bool,
        typer.Option(
            "--properties",
            help="Also charges, dipole moment and bond orders; of a crystal the density of states.",
        ),
    ] = False,
    bands: BandFiles = None,
    path: BandPath = None,
    points: BandPoints = 120,
    overlap: OverlapFile = None,
    electrons: Electrons = None,
    deeph: Annotated[
        Path | None, typer.Option(help="Write H (and S, if known) as a folder of DeepH.")
    ] = None,
    layout: Annotated[Layout, typer.Option(help="Layout of that folder.")] = Layout.older,
    charge: Charge = None,
    spin: Spin = None,
    index: Indices = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Predict the Hamiltonian of a structure, and its energy levels or bands.

    The structure may also be a folder of DeepH with an overlap.

    With a slice as --index, such as :, many structures of a file are predicted, a line each.

    Examples:
        python -m workbench predict water
        python -m workbench predict smiles:CCO --model organic --out H.npz
        cat a.xyz | python -m workbench predict - --model organic
    """
    from workbench.evaluation.predicted import predicted

    results = _Results(out, warm_start, deeph, layout, bands or [])
    if index is not None and ":" in index:
        from workbench.cli.predict_many import predict_all

        if results.bands or deeph or warm_start or check or properties or overlap:
            raise ValueError(
                "--bands, --deeph, --warm-start, --check, --properties and --overlap are for one "
                "structure: give one --index, or write all structures with --out FILE.h5."
            )
        predict_all(source, model, index, out, (charge, spin, electrons), overwrite, as_json)
        return
    results.check([source] if overlap is None else [source, str(overlap)], overwrite)
    trained, origin = load_with_origin(model)
    atoms, known = _structure(source, trained, overlap, charge, spin, index)
    if warm_start is not None and atoms.pbc.any():
        raise ValueError("A warm start is for molecules only: omit --warm-start.")
    if results.bands and not atoms.pbc.any():
        raise ValueError("Bands are of crystals, and this is a molecule: omit --bands.")
    found = predicted(trained, atoms, known, electrons)
    result = found.numbers | notes(found)
    if check:
        from workbench.evaluation.self_consistency import check as checked

        result["check"] = checked(trained, atoms, found.prediction).to_json()
    if properties:
        result |= further_properties(found)
    result |= _write(results, found, origin, path, points)
    show(result, lines(readable(result)), as_json)


def _structure(
    source: str,
    trained: TwoStageModel,
    overlap: Path | None,
    charge: int | None,
    spin: int | None,
    index: str | None,
) -> tuple[Atoms, Overlap | None]:
    """A structure and, of a folder of DeepH or from a further file, its overlap."""
    from workbench.evaluation.overlap_file import read_overlap
    from workbench.structures.loading import load

    if not Path(source).is_dir():
        atoms = load(source, charge=charge, spin=spin, index=number(index))
        return atoms, None if overlap is None else read_overlap(overlap, atoms, trained.basis)
    from workbench.datasets.formats.deeph import read_overlap as of_folder
    from workbench.engines import Overlap

    if (charge, spin, index) != (None, None, None):
        raise ValueError("A folder of DeepH has one neutral structure: omit --charge and the like.")
    if overlap is not None:
        raise ValueError("The folder of DeepH has an overlap itself: omit --overlap.")
    atoms, S = of_folder(source, trained.basis.name)
    return atoms, Overlap(S.in_basis(trained.basis))


def _write(
    results: _Results, found: Predicted, origin: dict[str, Any], path: str | None, points: int
) -> dict[str, Any]:
    """Write what was asked for, and say where it is."""
    written: dict[str, Any] = {}
    if results.bands:
        from workbench.views.band_files import write_bands

        structure = found.bands(path, points)
        for file in results.bands:
            write_bands(file, structure, found.fermi_level is not None)
        written["bands"] = [str(file) for file in results.bands]
    if results.out is not None:
        _write_result(results.out, found, origin)
        written["written"] = str(results.out)
    if results.deeph is not None:
        from workbench.datasets.formats import deeph, deeph_present

        write = deeph_present.write if results.layout is Layout.present else deeph.write
        write(results.deeph, found.atoms, found.prediction.refined, found.S, found.fermi_level)
        written["deeph"] = str(results.deeph)
    if results.warm_start is not None:
        from workbench.engines.warm_start import warm_start

        _write_array(results.warm_start, warm_start(found.atoms, found.prediction.refined))
        written["warm_start"] = str(results.warm_start)
    return written


def _write_result(out: Path, found: Predicted, origin: dict[str, Any]) -> None:
    """Write the prediction as a dataset of one sample, or as arrays."""
    from workbench.datasets.writing import write
    from workbench.evaluation.prediction_files import provenance, sample, write_npz

    if out.suffix.lower() in (".h5", ".hdf5"):
        write(out, [sample(found)], {}, provenance(origin, found.prediction.method))
    else:
        write_npz(out, found, origin)


def _write_array(path: Path, array: NDArray[Any]) -> None:
    """Write one array, .npy; in memory first, since NumPy does not say why a file is cut short."""
    import numpy as np

    from workbench.storage.atomic_write import atomic_write

    content = BytesIO()
    np.save(content, array, allow_pickle=False)
    atomic_write(path, content.getvalue())
