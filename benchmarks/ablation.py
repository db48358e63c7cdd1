"""What each stage contributes, at equal total CPU time per row, over several seeds.

    python benchmarks/ablation.py --system water --guess none --cpu-seconds 60 [--seeds 3]

Rows of two stages share one stage 1, trained for its share of the budget; each stage 2 then gets
the rest. With --wide both are larger, for water, where a stage 1 alone uses its time by width.
--rows trains only rows whose names hold one of these words. Results are kept in runs/ablation as
they come, so that a stopped run goes on. The test split is measured: use --split valid while
choosing anything.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import workbench as wb
from workbench.datasets.writing import write_part
from workbench.hamiltonians.conventions import HARTREE
from workbench.storage.atomic_write import atomic_write
from workbench.storage.bundled import data_path

STAGE1_SHARE = {"water": 0.02}
"""Share of the budget for stage 1; for water its features need no gradients, see the recipe."""

STAGE1_HOW: dict[str, Any] = {"batch_size": 2}
"""What does best for stage 1 in some minutes, on validation sets (docs/results/measurements.md)."""

STAGE2_HOW: dict[str, Any] = {"batch_size": 16}
"""And for stage 2, at 3e-4 in the global frame; local axes bear and want larger steps."""

SEEN = 2 / 3
"""Share of the training structures that stage 1 sees in the row where stage 2 sees new ones."""

WIDE = {"channels": 48, "readout": 1536, "pair_readout": 192}
WIDER = {"channels": 48, "readout": 3072, "pair_readout": 384}
"""Where no gradient is taken, a stage 1 alone can only use up its time by being wider: about 37
and 200 CPU-seconds for water."""

RESERVE = 0.1
"""Share of the budget that setting up stage 2 and solving its readouts may take."""

ORIENTATIONS = (2, 4, 8, 16)

LOCAL: dict[str, Any] = {"refiner_learning_rate": 2e-3}

VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "two stages": ({}, {}),
    "stage 2 without stage 1's features": ({"refiner_features": False}, {}),
    "stage 2 without the baseline": ({"refiner_baseline": False}, {}),
    "stage 2 without turned data": ({}, {"turning": False}),
    "stage 2 in local frames": ({"refiner_frame": "local"}, LOCAL),
}
UNSEEN = "local frames, stage 1 shown two thirds of the data"


class Ablation:
    """All rows of one system and seed."""

    def __init__(self, chosen: argparse.Namespace, seed: int) -> None:
        self.system, self.total, self.seed = chosen.system, chosen.cpu_seconds, seed
        self.split, self.limit = chosen.split, chosen.limit
        path = chosen.dataset or data_path("datasets", f"{chosen.system}.h5")
        self.dataset = wb.Dataset(path)
        self.solved = self.system in STAGE1_SHARE  # its features stay random
        self.share = 0.2 if chosen.wide else STAGE1_SHARE.get(self.system, 0.5)
        self.config = wb.ModelConfig(guess=chosen.guess, **(WIDE if chosen.wide else {}))
        self.alone = self.config
        if self.solved:
            self.alone = replace(self.config, **(WIDER if chosen.wide else WIDE))
        self.wanted = chosen.rows
        wide = "-wide" if chosen.wide else ""
        name = f"{self.system}-{chosen.guess}{wide}-{self.total:g}s-seed{seed}"
        self.folder = Path(chosen.out) / name
        self.folder.mkdir(parents=True, exist_ok=True)

    def stage1(self, seconds: float, config: wb.ModelConfig, data: wb.Dataset | None = None) -> Any:
        """Stage 1 alone, shown all training structures or those of another dataset."""
        budget = wb.Budget(cpu_seconds=seconds)
        if self.solved:
            budget = wb.Budget(steps=0)
        how = wb.TrainConfig(stage1=budget, stage2=None, seed=self.seed, **STAGE1_HOW)
        return self._last(config, how, data=data)

    def shown_some(self, seconds: float) -> Any:
        """Stage 1 that saw some training structures only, so that stage 2 meets true errors."""
        sizes = {split: len(self.dataset.split(split)) for split in ("train", "valid")}
        sizes["train"] = round(SEEN * sizes["train"])
        with tempfile.TemporaryDirectory() as folder:
            write_part(self.dataset, Path(folder) / "seen.h5", sizes)
            with wb.Dataset(Path(folder) / "seen.h5") as seen:
                return self.stage1(seconds, self.config, seen)

    def stage2(self, sizes: dict[str, Any], how: dict[str, Any], stage1: Any) -> Any:
        """Stage 2 after a stage 1, for the rest of the time."""
        rest = wb.Budget(cpu_seconds=self.total * (1 - self.share - RESERVE))
        training = wb.TrainConfig(stage2=rest, seed=self.seed, **{**STAGE2_HOW, **how})
        return self._last(replace(self.config, **sizes), training, stage1)

    def larger(self) -> wb.ModelConfig:
        """Stage 1 with as many parameters as both stages have."""
        sizes = [_size(self._empty(self.config, name)) for name in ("baseline", "refiner")]
        channels = self.config.channels
        while _size(self._empty(replace(self.config, channels=channels), "baseline")) < sum(sizes):
            channels += 2
        return replace(self.config, channels=channels)

    def _empty(self, config: wb.ModelConfig, stage: str) -> torch.nn.Module:
        from workbench.models.scaling import Scaling
        from workbench.models.twostage import TwoStageModel

        model = TwoStageModel(self.dataset.basis, config, Scaling())
        return getattr(model, stage)

    def rows(self) -> dict[str, dict[str, float]]:
        """Train and measure what is wanted and not there yet."""
        before = "stage 1 of the rows below, before stage 2"
        seconds = self.share * self.total
        plan: dict[str, Callable[[], dict[str, float]]] = {
            "stage 1 alone, all the time": lambda: self._row(
                "alone", lambda: self.stage1(self.total, self.alone)
            ),
            "stage 1 alone, parameters of both": lambda: self._row(
                "larger", lambda: self.stage1(self.total, self.larger())
            ),
            before: lambda: self._row(before, lambda: self.stage1(seconds, self.config)),
        }
        for name, (sizes, how) in VARIANTS.items():
            plan[name] = lambda n=name, s=sizes, h=how: self._row(
                n, lambda: self.stage2(s, h, self._kept(before)), before=plan[before]()
            )
        plan[UNSEEN] = lambda: self._row(
            UNSEEN,
            lambda: self.stage2({"refiner_frame": "local"}, LOCAL, self.shown_some(seconds)),
        )
        for count in ORIENTATIONS:
            name = f"two stages, mean of {count} orientations"
            plan[name] = lambda n=name, k=count: self._row(
                n, lambda: self._kept("two stages"), k, plan["two stages"]()
            )
        return {
            name: row()
            for name, row in plan.items()
            if not self.wanted or any(word in name for word in self.wanted)
        }

    def _last(
        self,
        config: wb.ModelConfig,
        how: wb.TrainConfig,
        stage1: Any = None,
        data: wb.Dataset | None = None,
    ) -> Any:
        *_, last = wb.train(config, data or self.dataset, how, stage1=stage1)
        return last.model

    def _kept(self, name: str) -> Any:
        return wb.load_model(self._path(name, "safetensors"))

    def _path(self, name: str, suffix: str) -> Path:
        return self.folder / f"{name.replace(' ', '-').replace(chr(39), '')}.{suffix}"

    def _row(
        self,
        name: str,
        make: Callable[[], Any],
        orientations: int = 1,
        before: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """The metrics of a row; trained only if they are not on disk.

        Args:
            name: of the row.
            make: returns the model.
            orientations: over which stage 2 is averaged.
            before: the row that `make` builds upon, whose CPU seconds count as well.
        """
        from workbench.models.checkpoint import save_model

        path = self._path(name, "json")
        if not path.is_file():
            started = time.process_time()
            model = make()
            spent = time.process_time() - started
            spent += before["cpu_seconds"] if before else 0.0
            if orientations == 1:
                save_model(model, self._path(name, "safetensors"), model.info)
            measured = wb.evaluate(
                model, self.dataset, self.split, self.limit, symmetrise=orientations
            )["refined"]
            atomic_write(path, json.dumps(measured | {"cpu_seconds": spent}))
        return json.loads(path.read_text())


def _size(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


COLUMNS = (
    ("CPU s", lambda r: r["cpu_seconds"]),
    ("MAE, uHa", lambda r: r["mae_hartree"] * 1e6),
    ("median, uHa", lambda r: r["median_structure_mae_hartree"] * 1e6),
    ("occupied levels, meV", lambda r: r["occupied_level_mae_mev"]),
    ("rotations, uHa", lambda r: r["equivariance_mae_mev"] / HARTREE * 1e3),
    # Rows on disk that an older version measured have no error under inversion.
    ("inversion, uHa", lambda r: r.get("inversion_mae_mev", np.nan) / HARTREE * 1e3),
)


def table(system: str, runs: list[dict[str, dict[str, float]]]) -> str:
    """Mean over seeds and, with several, the standard deviation."""
    width = max(len(name) for name in runs[0])
    head = "".join(f"{title:>26}" for title, _ in COLUMNS)
    lines = [f"{system}, {len(runs)} seed(s)", f"{'':{width}}{head}"]
    for name in runs[0]:
        cells = []
        for _, value in COLUMNS:
            values = np.array([value(run[name]) for run in runs])
            spread = f" +- {values.std(ddof=1):.2g}" if len(runs) > 1 else ""
            cells.append(f"{values.mean():.4g}{spread}".rjust(26))
        lines.append(f"{name:{width}}{''.join(cells)}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--system", default="water")
    parser.add_argument("--dataset", help="file; the bundled one of the system's name unless given")
    parser.add_argument("--guess", default="orbitals", help="what both stages start from")
    parser.add_argument("--cpu-seconds", type=float, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--wide", action="store_true", help="wider stages 1 (water)")
    parser.add_argument("--rows", nargs="*", help="only rows whose names hold one of these words")
    parser.add_argument("--split", default="test")
    parser.add_argument("--limit", type=int, help="only the first so many structures of the split")
    parser.add_argument("--out", default="runs/ablation")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    runs = [Ablation(chosen, seed).rows() for seed in range(chosen.seeds)]
    print(json.dumps(runs, indent=1) if chosen.json else table(chosen.system, runs))


if __name__ == "__main__":
    main()
