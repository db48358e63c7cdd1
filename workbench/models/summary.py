"""A model in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.hamiltonians.conventions import MEV

if TYPE_CHECKING:
    from workbench.models.twostage import TwoStageModel


def summary(model: TwoStageModel) -> str:
    """What the model is, what it was trained on and how well it did, as text."""
    info, basis = model.info, model.basis
    sizes = [sum(p.numel() for p in m.parameters()) / 1e6 for m in (model.baseline, model.refiner)]
    start = {
        "orbitals": "superposed atomic potentials and the density of their orbitals",
        "atoms": "superposed atomic potentials",
        "none": "nothing but means",
    }
    kept = "" if model.config.time_reversal else " and without time reversal"
    spin = f", with spin{kept}" if basis.spinor else ""
    lines = [
        f"Two-stage model of Hamiltonians in {basis.name} for {', '.join(model.elements)}{spin}",
        f"starts from {start[model.config.guess]}",
        f"stage 1: equivariant, {sizes[0]:.2f} M parameters, {model.config.layers} layers of "
        f"{model.config.channels} channels, l <= {model.config.lmax}",
        f"stage 2: graph Transformer, {sizes[1]:.2f} M parameters, "
        f"{model.config.refiner_layers} layers of width {model.config.refiner_width}",
    ]
    if "domain" in info:
        formulas = info["domain"]["formulas"]
        some = ", ".join(f"{n} x {f}" for f, n in list(formulas.items())[:5])
        more = f" and {len(formulas) - 5} other formulas" if len(formulas) > 5 else ""
        lines.append(f"trained on {info['dataset']['name']}: {some}{more}")
    last = {row["phase"]: row["valid_mae_ev"] for row in info.get("history", ())}
    lines += [f"validation error after {k}: {MEV * v:.3g} meV" for k, v in last.items()]
    if not info:
        lines.append("not trained")
    what = "crystals and molecules" if model.config.guess == "none" else "molecules"
    lines.append(f"predicts {what} of these elements; warns beyond what it was trained on")
    return "\n".join(lines)
