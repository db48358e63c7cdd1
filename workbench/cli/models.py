"""The commands that use a trained model: ``evaluate``, ``calibrate``, ``predict``, ``rotate``."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.options import (
    Charge,
    Functional,
    Grid,
    Index,
    Json,
    Layout,
    ModelName,
    Overwrite,
    Seed,
    Spin,
    Structure,
    lines,
    show,
)

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    from workbench.hamiltonians.basis import Basis
    from workbench.hamiltonians.block_matrix import BlockMatrix
    from workbench.models.prediction import Prediction


def evaluate(
    model: ModelName = "water",
    dataset: Annotated[str, typer.Option(help="Bundled dataset or .h5 file.")] = "water",
    split: Annotated[str, typer.Option(help="Split to use, e.g. train, valid or test.")] = "test",
    limit: Annotated[int | None, typer.Option(help="Use at most this many samples.")] = None,
    as_json: Json = False,
) -> None:
    """Measure the errors of both stages on a dataset: matrix, energy levels and orbitals."""
    from workbench.datasets.dataset import Dataset
    from workbench.evaluation.model_errors import evaluate as evaluated
    from workbench.models.checkpoint import load_model

    with Dataset(dataset) as data:
        errors = evaluated(load_model(model), data, split=split, limit=limit, progress=not as_json)
    show(errors, lines(errors), as_json)


def calibrate(
    model: Annotated[str, typer.Argument(help="Bundled model or .safetensors file.")],
    dataset: Annotated[str, typer.Option(help="Bundled dataset or .h5 file of molecules.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Model to write, .safetensors.")],
    split: Annotated[str, typer.Option(help="Split that the model was not trained on.")] = "valid",
    grid: Annotated[
        int, typer.Option(help="PySCF grid level of the Fock matrices of `predict --check`.")
    ] = 1,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Measure on labelled molecules how a model's error can be estimated without labels."""
    from workbench.datasets.dataset import Dataset
    from workbench.evaluation.ghost_levels import with_fitted_kappa
    from workbench.evaluation.self_consistency import calibrate as measured
    from workbench.models.checkpoint import load_model, save_model
    from workbench.storage.output_check import check_writable

    trained = load_model(model)
    with Dataset(dataset) as data:
        check_writable(out, sources=[data.path], overwrite=overwrite)
        samples = data.split(split).tolist()
        kappa = with_fitted_kappa(trained, data, samples, progress=not as_json)
        calibration = measured(trained, data, samples, grid=grid, progress=not as_json)
    save_model(trained, out, {**trained.info, "calibration": calibration})
    result = {"kappa": kappa, **calibration, "written": str(out)}
    show(result, lines(result), as_json)


def predict(
    source: Structure,
    model: ModelName = "water",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write H of both stages and S, .npz.")
    ] = None,
    warm_start: Annotated[
        Path | None,
        typer.Option(help="Write a density matrix for PySCF's kernel(dm0=...), .npy."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Molecules: estimate the error by one Fock matrix, seconds."),
    ] = False,
    deeph: Annotated[
        Path | None, typer.Option(help="Write H (and S, if known) as a folder of DeepH.")
    ] = None,
    layout: Annotated[Layout, typer.Option(help="Layout of that folder.")] = Layout.older,
    charge: Charge = None,
    spin: Spin = None,
    index: Index = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Predict the Hamiltonian of a structure and, for a molecule, its energy levels.

    The structure may also be a folder of DeepH with an overlap.
    """
    from workbench.engines.level_of_theory import level_of_theory
    from workbench.engines.warm_start import warm_start as density_matrix
    from workbench.evaluation.self_consistency import check as checked
    from workbench.hamiltonians.conventions import MEV
    from workbench.models.checkpoint import load_model
    from workbench.storage.atomic_write import write_arrays

    _check_results(out, warm_start, source, overwrite)
    _check_folder(deeph, overwrite)
    trained = load_model(model)
    atoms, S = _structure(source, trained.basis, charge, spin, index)
    if warm_start is not None and atoms.pbc.any():
        raise ValueError("A warm start is for molecules only: omit --warm-start.")
    prediction = trained.predict(atoms)
    result: dict[str, Any] = {
        "formula": atoms.get_chemical_formula(),
        "level_of_theory": level_of_theory(trained.info.get("method", {})),
        "orbitals": prediction.refined.n_ao,
        "refinement_mae_mev": (prediction.refined - prediction.baseline).mae() * MEV,
    }
    if atoms.pbc.any():
        result["blocks"] = len(prediction.refined.values)
        arrays = _blocks(prediction, S)
    else:
        S = _computed_overlap(atoms, prediction.refined.basis)
        arrays = _dense(baseline=prediction.baseline, refined=prediction.refined, overlap=S)
    if S is None:
        result["note"] = "levels and bands also need the overlap: give a DeepH folder that has one"
    elif not atoms.pbc.any():
        result |= _levels(atoms, prediction, S)
    if check:
        result["check"] = checked(trained, atoms, prediction).to_json()
    if out is not None:
        write_arrays(out, **arrays)
        result["written"] = str(out)
    if deeph is not None:
        _write_folder(deeph, layout, atoms, prediction.refined, S)
        result["deeph"] = str(deeph)
    if warm_start is not None:
        _write_array(warm_start, density_matrix(atoms, prediction.refined))
        result["warm_start"] = str(warm_start)
    show(result, lines(result), as_json)


def _structure(
    source: str, basis: Basis, charge: int | None, spin: int | None, index: int | None
) -> tuple[Atoms, BlockMatrix | None]:
    """A structure and, of a folder of DeepH, its overlap in the basis of a model."""
    from workbench.datasets.formats.deeph import read_overlap
    from workbench.structures.loading import load

    if not Path(source).is_dir():
        return load(source, charge=charge, spin=spin, index=index), None
    if (charge, spin, index) != (None, None, None):
        raise ValueError("A folder of DeepH has one neutral structure: omit --charge and the like.")
    atoms, S = read_overlap(source, basis.name)
    return atoms, S.in_basis(basis)


def _computed_overlap(atoms: Atoms, basis: Basis) -> BlockMatrix | None:
    """The overlap of a molecule if PySCF has the basis."""
    from workbench.engines.pyscf_molecules import overlap

    try:
        return overlap(atoms, basis)
    except ValueError:
        return None


def _check_folder(folder: Path | None, overwrite: bool) -> None:
    """Refuse a folder that holds files, before anything is computed."""
    from workbench.storage.output_check import check_writable
    from workbench.storage.writing_errors import TargetError

    if folder is None:
        return
    check_writable(folder, folder=True)
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise TargetError(
            f"{folder} is not empty: choose another folder, or replace its files with --overwrite."
        )


def _write_folder(
    folder: Path, layout: Layout, atoms: Atoms, H: BlockMatrix, S: BlockMatrix | None
) -> None:
    """Write H and S as a folder of DeepH."""
    from workbench.datasets.formats import deeph, deeph_present

    write = deeph_present.write if layout is Layout.present else deeph.write
    write(folder, atoms, H, S)


def _check_results(out: Path | None, warm_start: Path | None, source: str, overwrite: bool) -> None:
    """Refuse results of `predict` that cannot be written, before anything is computed."""
    from workbench.storage.output_check import check_writable

    if out is not None and warm_start is not None and out.resolve() == warm_start.resolve():
        raise ValueError(f"--out and --warm-start both name {out}: choose two files.")
    for path in (out, warm_start):
        if path is not None:
            check_writable(path, sources=[source], overwrite=overwrite)


def _write_array(path: Path, array: NDArray[Any]) -> None:
    """Write one array, .npy; in memory first, since NumPy does not say why a file is cut short."""
    import numpy as np

    from workbench.storage.atomic_write import atomic_write

    content = BytesIO()
    np.save(content, array, allow_pickle=False)
    atomic_write(path, content.getvalue())


def _levels(atoms: Atoms, prediction: Prediction, S: BlockMatrix) -> dict[str, Any]:
    """HOMO-LUMO gap and energy levels of a molecule, eV."""
    from workbench.engines.pyscf_molecules import electrons
    from workbench.hamiltonians.eigenproblem import gap, levels

    H = prediction.refined
    gap_ev = gap(H, S, electrons(atoms, H.basis.name))
    return {"gap_ev": gap_ev, "levels_ev": levels(H, S).tolist()}


def rotate(
    source: Structure,
    axis: Annotated[tuple[float, float, float], typer.Option(help="Rotation axis x y z.")] = (
        1.0,
        1.0,
        0.0,
    ),
    degrees: Annotated[float, typer.Option(help="Rotation angle, degrees.")] = 40.0,
    samples: Annotated[
        int | None, typer.Option(help="Use this many random rotations instead.")
    ] = None,
    model: ModelName = "water",
    xc: Functional = "pbe",
    grid: Grid = 4,
    relativity: Annotated[
        str,
        typer.Option(help="Spin-orbit coupling in PySCF for a model with spin: ecp or x2c."),
    ] = "ecp",
    charge: Charge = None,
    spin: Spin = None,
    index: Index = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Report the equivariance errors of PySCF and both stages under rotations and inversion."""
    from workbench.engines.dispatch import pyscf
    from workbench.evaluation.equivariance import equivariance
    from workbench.hamiltonians.rotations import rotation
    from workbench.models.checkpoint import load_model
    from workbench.structures.loading import load

    trained = load_model(model)
    basis = trained.basis
    report = equivariance(
        {
            "PySCF": pyscf(basis.name, xc, grid, spin_orbit=basis.spinor, relativity=relativity),
            "stage 1": trained.stage1,
            "stages 1+2": trained,
        },
        load(source, charge=charge, spin=spin, index=index),
        rotation(axis, degrees) if samples is None else None,
        samples=1 if samples is None else samples,
        seed=seed,
    )
    show(report.to_json(), report.table(), as_json)


def _dense(**matrices: BlockMatrix | None) -> dict[str, Any]:
    """Dense matrices by name, H in eV and the dimensionless overlap, and the name of each row."""
    known = {name: m for name, m in matrices.items() if m is not None}
    arrays: dict[str, Any] = {name: m.dense() for name, m in known.items()}
    return {"labels": next(iter(known.values())).orbital_labels(), **arrays}


def _blocks(prediction: Prediction, S: BlockMatrix | None) -> dict[str, Any]:
    """Blocks (E, M, M) of a crystal in eV, with their atom pairs (2, E) and cells (E, 3)."""
    H = prediction.refined
    arrays = {"baseline": prediction.baseline.values, "refined": H.values}
    if S is not None:
        arrays["overlap"] = S.over(H.edges, H.shifts)
    return {"labels": H.orbital_labels(), "edges": H.edges, "shifts": H.shifts, **arrays}
