"""The command ``page``: an HTML file that turns a molecule without Python."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.options import Charge, Index, Json, ModelName, Overwrite, Spin, Structure, show

__all__ = ["page"]


def page(
    source: Structure,
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML file to write.")],
    model: ModelName = "water",
    reference: Annotated[
        bool,
        typer.Option(
            "--reference/--no-reference",
            help="Compute the true Hamiltonian by the model's method (PySCF, seconds to minutes).",
        ),
    ] = True,
    charge: Charge = None,
    spin: Spin = None,
    index: Index = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write a page that turns a molecule in any browser, without Python and network.

    Examples:
        python -m workbench page water --out water.html
        python -m workbench page ethanol --model ethanol --out ethanol.html
    """
    from workbench.storage.output_check import check_writable

    check_writable(out, sources=[source], overwrite=overwrite)
    from workbench.engines.dispatch import by_method
    from workbench.evaluation.orientation_comparison import Experiment
    from workbench.models.checkpoint import load_model
    from workbench.structures.loading import load
    from workbench.views.page import check_molecule, write_page

    trained = load_model(model)
    atoms = load(source, charge=charge, spin=spin, index=index)
    check_molecule(atoms, trained.basis)
    known = by_method(atoms, trained.info.get("method", {})) if reference else None
    write_page(out, Experiment(atoms, trained, known))
    size = out.stat().st_size
    show(
        {"written": str(out), "size_bytes": size},
        f"{out}: {size / 1e6:.1f} MB; open it in a browser.",
        as_json,
    )
