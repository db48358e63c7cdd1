"""The commands that train: ``train`` and ``reproduce``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.exit_codes import ExitCode
from workbench.cli.options import DatasetSource, Devices, Json, Settings, Stage1, Stage2, show
from workbench.cli.processes import PEER_LOST, must_start, start_processes
from workbench.cli.settings import budget, configured, second_budget
from workbench.cli.words import say, shows_progress
from workbench.training.launch import LAUNCHER, PeerError, is_first

if TYPE_CHECKING:
    from workbench.training.loop import StepRecord

__all__ = ["reproduce", "train"]


def train(
    dataset: DatasetSource,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run.")],
    stage1: Stage1 = "600s",
    stage2: Stage2 = "300s",
    start: Annotated[
        str | None, typer.Option(help="Trained model (name or file) to continue from.")
    ] = None,
    devices: Devices = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Train both stages; after Ctrl-C the same command resumes the training.

    Examples:
        python -m workbench train water --out runs/water
        python -m workbench train water.h5 --out runs/long --stage1 3600s --devices 2
        python -m workbench train ethanol --out runs/more --start organic --set learning_rate=1e-3
    """
    from workbench.datasets.dataset import Dataset
    from workbench.models.checkpoint import load_model
    from workbench.models.config import ModelConfig
    from workbench.training.config import TrainConfig
    from workbench.training.loop import train as training

    budgets = TrainConfig(stage1=budget(stage1), stage2=second_budget(stage2))
    first = load_model(start) if start is not None else None
    config, train_config = configured(
        _with_devices(settings, devices), first.config if first else ModelConfig(), budgets
    )
    bar = shows_progress(as_json) and is_first()
    with _resumable(out), Dataset(dataset) as data:
        if must_start(train_config.devices):
            raise typer.Exit(start_processes(train_config.devices))
        last = _followed(
            training(config, data, train_config, out, start=first, progress=bar), bar, as_json
        )
    if not is_first():
        return
    checkpoint = out / "model.safetensors"
    result = {"checkpoint": str(checkpoint), "phase": getattr(last, "label", None)}
    keys = ("step", "loss_ev", "valid_mae_ev", "cpu_seconds")
    result |= {key: getattr(last, key, None) for key in keys} | _of_history(out)
    show(result, _summary(result), as_json)
    say(f"Next: {_evaluation(checkpoint, dataset)}")


def reproduce(
    code: Annotated[str, typer.Argument(help="Published set: MG, MM, BG, BB, BT or BS.")],
    data: Annotated[Path, typer.Option(help="The downloaded data: DeepH folders at any depth.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the run (default runs/CODE).")
    ] = None,
    twisted: Annotated[
        Path | None, typer.Option(help="Folders of twisted cells, for a separate test split.")
    ] = None,
    stage1: Stage1 = "3600s",
    stage2: Stage2 = "3600s",
    devices: Devices = None,
    settings: Settings = None,
    seed: Annotated[int, typer.Option(help="Seed that draws the published split sizes.")] = 0,
    as_json: Json = False,
) -> None:
    """Reproduce a published benchmark, from the download to the table; repeat it to resume.

    Examples:
        python -m workbench reproduce MG --data FOLDER
        python -m workbench reproduce BG --data FOLDER --twisted FOLDER --stage1 14400s
    """
    from workbench.datasets.dataset import Dataset
    from workbench.datasets.published_sets import benchmark_system
    from workbench.evaluation.reproduction import BATCH, Reproduction, default_config, table
    from workbench.models.config import ModelConfig
    from workbench.training.config import TrainConfig
    from workbench.training.loop import train as training

    system = benchmark_system(code)
    budgets = TrainConfig(stage1=budget(stage1), stage2=second_budget(stage2), batch_size=BATCH)
    changes = _with_devices(settings, devices)
    _, checked = configured(changes, ModelConfig(), budgets)  # a typo, before hours of reading
    run = Reproduction(system, Path("runs", system.code.lower()) if out is None else out)
    bar = shows_progress(as_json) and is_first()
    with _resumable(run.folder):
        with Dataset(run.prepare(data, twisted, seed, progress=bar)) as dataset:
            if must_start(checked.devices):
                raise typer.Exit(start_processes(checked.devices))
            config, train_config = configured(changes, default_config(system), budgets)
            _followed(
                training(config, dataset, train_config, run.folder, progress=bar), bar, as_json
            )
        if not is_first():
            return
        report = run.report(progress=bar) | {"curve": _of_history(run.folder)["curve"]}
    splits = ", ".join(f"{count} {name}" for name, count in report["splits"].items())
    text = f"{table(system, report['measured'])}\n{run.checkpoint}: {splits}"
    text += f" structures (published: {system.structures})"
    show(report | {"checkpoint": str(run.checkpoint)}, text, as_json)


def _with_devices(settings: list[str] | None, devices: int | None) -> list[str]:
    """The settings of a command line, with that of its option ``--devices``."""
    return [*(settings or []), *([] if devices is None else [f"devices={devices}"])]


def _of_history(folder: Path) -> dict[str, Any]:
    """What the history of a finished run says: the last error of each stage, and its curve."""
    from workbench.hamiltonians.conventions import MEV
    from workbench.models.checkpoint import load_model
    from workbench.training.history import stage_name
    from workbench.views.curve_files import write_curve

    history = load_model(folder / "model.safetensors").info.get("history", [])
    errors = {stage_name(row): row["valid_mae_ev"] * MEV for row in history}
    return {
        "validation_mae_mev": errors,
        "curve": [str(path) for path in write_curve(folder, history)],
    }


def _summary(result: dict[str, Any]) -> str:
    """The end of a training as text."""
    errors = [
        f"  validation error of {stage}: {error:.3g} meV"
        for stage, error in result["validation_mae_mev"].items()
    ]
    curve = f"  curve: {' and '.join(result['curve'])}"
    return "\n".join([f"Trained: {result['checkpoint']}", *errors, curve])


def _evaluation(checkpoint: Path, dataset: str) -> str:
    """The command that measures a model on the test set."""
    words = ["evaluate", "--model", str(checkpoint), "--dataset", dataset]
    return f"python -m workbench {shlex.join(words)}"


@contextmanager
def _resumable(out: Path) -> Iterator[None]:
    """Turn Ctrl-C into exit code 130 and a sentence that says how to resume."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"Stopped. {out} holds the state: the same command resumes the run.", err=True)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except PeerError:
        if LAUNCHER not in os.environ:
            raise
        raise typer.Exit(PEER_LOST) from None


def _followed(
    records: Generator[StepRecord, None, None], bar: bool, as_json: bool
) -> StepRecord | None:
    """Run a training to its end, behind a bar or with a line per validation; the last record."""
    last = None
    with closing(records):  # closing the generator writes the state of the run
        for last in _with_bar(records) if bar else records:
            if not bar and not as_json and last.valid_mae_ev is not None and not last.finished:
                say(_line(last))
    return last


def _line(record: StepRecord) -> str:
    """A validation as a line of a log."""
    from workbench.hamiltonians.conventions import MEV

    error = (record.valid_mae_ev or 0.0) * MEV
    return f"{record.label}, step {record.step}: validation {error:.3g} meV"


def _with_bar(records: Iterator[StepRecord]) -> Iterator[StepRecord]:
    """The same records, with one progress bar per phase."""
    from tqdm.auto import tqdm

    from workbench.hamiltonians.conventions import MEV

    form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    errors: dict[str, Any] = {"loss": "-", "validation": "-"}
    with tqdm(total=1.0, bar_format=form) as bar:
        for record in records:
            if record.progress < bar.n:
                bar.reset()
            bar.set_description(record.label, refresh=False)
            for key, error in (("loss", record.loss_ev), ("validation", record.valid_mae_ev)):
                errors[key] = errors[key] if error is None else f"{error * MEV:.3g} meV"
            bar.set_postfix(errors, refresh=False)
            bar.update(record.progress - bar.n)
            yield record
