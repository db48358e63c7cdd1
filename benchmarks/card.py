"""Measure a shipped model on its test set and write the numbers into its card.

    python benchmarks/card.py water

The part of data/checkpoints/<model>.md between the two ``measured`` comments is replaced; what
people wrote around it stays.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

import workbench as wb
from workbench.engines.level_of_theory import level_of_theory
from workbench.evaluation.model_errors import evaluate
from workbench.evaluation.reproduction import TESTED
from workbench.hamiltonians.conventions import HARTREE
from workbench.models.twostage import TwoStageModel
from workbench.storage.bundled import data_path
from workbench.training.history import stage_name

BEGIN, END = "<!-- measured -->", "<!-- end of measured -->"

ROWS = (
    ("matrix, MAE over all elements, 1e-6 Hartree", "mae_hartree", 1e6, ".3g"),
    ("the same (MAE_all), meV", "mae_all_mev", 1, ".3g"),
    ("the same without the shift of the zero of energy, meV", "gauge_free_mae_mev", 1, ".3g"),
    ("this shift, mean modulus, meV", "shift_mev", 1, ".3g"),
    ("its share of the matrix error, %", "gauge_share", 100, ".1f"),
    ("the worst structure's (MAE_cha_s), meV", "mae_cha_s_mev", 1, ".3g"),
    ("the worst block's (MAE_cha_b), meV", "mae_cha_b_mev", 1, ".3g"),
    ("bands within 2 eV of the Fermi level, MAE, meV", "band_mae_mev", 1, ".3g"),
    ("the same, each aligned at its own Fermi level, meV", "aligned_band_mae_mev", 1, ".3g"),
    ("the median structure's, 1e-6 Hartree", "median_structure_mae_hartree", 1e6, ".3g"),
    ("the worst structure's, 1e-6 Hartree", "worst_structure_mae_hartree", 1e6, ".3g"),
    ("the largest error of any element, meV", "max_mev", 1, ".3g"),
    ("occupied levels, MAE, meV", "occupied_level_mae_mev", 1, ".3g"),
    ("the same without the shift, meV", "aligned_occupied_level_mae_mev", 1, ".3g"),
    ("all levels, MAE, meV", "level_mae_mev", 1, ".3g"),
    ("gap, MAE, meV", "gap_mae_mev", 1, ".3g"),
    ("gap, the median structure's, meV", "median_structure_gap_mae_mev", 1, ".3g"),
    ("gap, the worst structure's, meV", "worst_structure_gap_mae_mev", 1, ".3g"),
    ("structures with a ghost level (gap off by more than 1 eV), %", "ghost_share", 100, ".1f"),
    ("equivariance error under a random rotation, MAE, meV", "equivariance_mae_mev", 1, ".2g"),
    ("equivariance error under inversion, MAE, meV", "inversion_mae_mev", 1, ".2g"),
)


def measured(name: str, dataset: wb.Dataset, splits: list[str]) -> str:
    """The measured part of a card, as Markdown: a table for each split."""
    model, path = wb.load_model(name), data_path("checkpoints", f"{name}.safetensors")
    reports = [evaluate(model, dataset, split) for split in splits]
    stages = {"stage 1": model.baseline, "stage 2": model.refiner}
    last = {stage_name(row): row for row in model.info["history"]}
    over = "" if model.validated_as_evaluated else " (per stored element)"
    lines = [
        "| | |",
        "|---|---|",
        f"| file | `{path.name}`, {path.stat().st_size:,} bytes |",
        f"| sha256 of the file | `{hashlib.sha256(path.read_bytes()).hexdigest()}` |",
        f"| trained on | `{model.info['dataset']['name']}`, sha256 of its content "
        f"`{model.info['dataset']['sha256']}` |",
        *_theory(model),
        "",
        "| | " + " | ".join(stages) + " |",
        "|---|" + "---|" * len(stages),
        _line("numbers learned", [_count(module) for module in stages.values()]),
        _line("CPU-seconds of one thread", [f"{last[s]['cpu_seconds']:.0f}" for s in stages]),
        _line(
            "validation error at the end" + over + ", 1e-6 Hartree",
            [f"{last[s]['valid_mae_ev'] / HARTREE * 1e6:.3g}" for s in stages],
        ),
    ]
    for found in reports:
        lines += ["", *_table(name, found)]
    return "\n".join(lines)


def _theory(model: TwoStageModel) -> list[str]:
    """Rows on the labels, on nearly dependent orbitals, and on the error bar without a label."""
    rows = [f"| level of theory | {level_of_theory(model.info['method'])} |"]
    if kappa := float(model.scaling.kappa):
        rows.append(f"| nearly dependent orbitals are taken from the guess | kappa = {kappa:.3g} |")
    if calibration := model.info.get("calibration"):
        low, middle, high = calibration["ratios"]["matrix"]
        rows.append(
            f"| true error of the matrix, in units of mean F[P] - H | {middle:.2f} ({low:.2f} to "
            f"{high:.2f}), on {calibration['samples']} geometries of "
            f"`{calibration['dataset']['name']}` |"
        )
    return rows


def _table(name: str, found: dict[str, Any]) -> list[str]:
    """What `evaluate` found on one split."""
    many = "structure" if found["structures"] == 1 else "structures"
    lines = [
        f"{found['structures']} {many} of the split `{found['split']}` of "
        f"`{found['dataset']['name']}`, as printed by `python -m workbench evaluate --model {name} "
        f"--dataset {name} --split {found['split']} --json`:",
        "",
        "| mean over structures | stage 1 | stages 1+2 |",
        "|---|---|---|",
    ]
    both = [found[s] for s in ("baseline", "refined")]
    for text, key, factor, form in ROWS:  # some are of molecules, some of crystals
        if both[0].get(key) is not None:
            lines.append(_line(text, [format(of[key] * factor, form) for of in both]))
    if both[0].get("occupied_similarity") is not None:
        unlike = [f"{1 - of['occupied_similarity']:.1e}" for of in both]
        lines.append(_line("occupied orbitals, 1 - cosine similarity", unlike))
    return lines


def _line(text: str, values: list[str]) -> str:
    return f"| {text} | " + " | ".join(values) + " |"


def _count(module: Any) -> str:
    """Parameters and what was solved for, in millions."""
    solved = sum(t.numel() for k, t in module.named_buffers() if "solution" in k and t.any())
    return f"{(sum(p.numel() for p in module.parameters()) + solved) / 1e6:.2f} M"


def write(card: Path, text: str) -> None:
    """Replace the measured part of a card.

    Raises:
        ValueError: if the card has none.
    """
    old = card.read_text()
    if BEGIN not in old or END not in old:
        raise ValueError(f"{card} has no part between '{BEGIN}' and '{END}' to write into.")
    head, rest = old.split(BEGIN, 1)
    card.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.split(END, 1)[1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--dataset", help="file; the bundled one of the same name unless given")
    parser.add_argument("--splits", nargs="+", help="those of TESTED that there are unless given")
    chosen = parser.parse_args()
    dataset = chosen.dataset or data_path("datasets", f"{chosen.model}.h5")
    with wb.Dataset(dataset) as data:
        splits = chosen.splits or [split for split in TESTED if split in data.splits]
        text = measured(chosen.model, data, splits)
    write(data_path("checkpoints", f"{chosen.model}.md"), text)
    print(text)


if __name__ == "__main__":
    main()
