"""The command ``predict`` for many structures of one file: streamed, and resumed in its folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from workbench.cli.exit_codes import ExitCode
from workbench.cli.prediction_notes import load_with_origin, notes, recorded_warnings
from workbench.cli.words import say, shows_progress

if TYPE_CHECKING:
    from ase import Atoms

    from workbench.evaluation.predicted import Predicted
    from workbench.structures.trajectories import Structures

_NAME = "{:06d}.npz"
"""Name of the file of a structure, by its number."""

_LISTED = 20
"""As many numbers of structures are listed in a sentence."""


def predict_all(
    source: str,
    model: str,
    index: str,
    out: Path | None,
    electrons: tuple[int | None, int | None, int | None],
    overwrite: bool,
    as_json: bool,
) -> None:
    """Predict the structures of a slice; bad ones are left out, and the exit code says so.

    Args:
        source, model, index, out, overwrite, as_json: as of `predict`.
        electrons: charge, spin and number of electrons of each structure, None for its own.
    """
    from workbench.structures.trajectories import load_all

    if out is not None and out.suffix.lower() == ".npz":
        raise ValueError(
            f"{out} would hold one structure, and {index} asks for several: name a folder, or a "
            "dataset .h5."
        )
    charge, spin, number = electrons
    structures = load_all(source, index, charge=charge, spin=spin)
    job = _Job(structures, model, number, as_json)
    if out is None:
        for found_number, found in job.run():
            job.tell(found_number, found.numbers)
    elif out.suffix.lower() in (".h5", ".hdf5"):
        job.into_dataset(out, source, overwrite)
    else:
        job.into_folder(out, overwrite)
    job.end()


class _Job:
    """The predictions of some structures by one model, and what is said of them."""

    def __init__(
        self, structures: Structures, model: str, n_electrons: int | None, as_json: bool
    ) -> None:
        self.structures = structures
        self.trained, self.origin = load_with_origin(model)
        self.n_electrons = n_electrons
        self.as_json = as_json
        self.bad: list[int] = []
        self.warned: dict[int, list[str]] = {}
        self.notes: set[str] = set()

    def run(self, folder: Path | None = None) -> Iterator[tuple[int, Predicted]]:
        """Number and prediction of each good structure, without those that a folder holds."""
        for number, atoms in self._read():
            if folder is not None and self._is_kept(folder / _NAME.format(number), number, atoms):
                continue
            found = self._predicted(number, atoms)
            if found is not None:
                self.notes.update(notes(found).values())
                yield number, found

    def into_dataset(self, out: Path, source: str, overwrite: bool) -> None:
        """Write one dataset, which appears when it is complete."""
        from workbench.datasets.writing import write
        from workbench.evaluation.prediction_files import provenance, sample
        from workbench.storage.lock import locked_file

        def samples() -> Iterator[Any]:
            for number, found in self.run():
                yield sample(found, number)
                self.tell(number, found.numbers)

        with locked_file(out, sources=[source], overwrite=overwrite):
            made_by = provenance(self.origin, self.trained.info.get("method", {}))
            write(out, samples(), {}, made_by)

    def into_folder(self, out: Path, overwrite: bool) -> None:
        """Write a file for each structure; those of this model and geometry are kept."""
        from workbench.evaluation.prediction_files import write_npz
        from workbench.storage.lock import locked_folder
        from workbench.storage.output_check import check_writable

        with locked_folder(out):
            for number, found in self.run(None if overwrite else out):
                path = out / _NAME.format(number)
                check_writable(path, overwrite=overwrite)
                write_npz(path, found, self.origin)
                self.tell(number, found.numbers | {"written": str(path)})

    def tell(self, number: int, numbers: dict[str, Any]) -> None:
        """Print a line about one structure."""
        warned = {"warnings": self.warned[number]} if number in self.warned else {}
        if self.as_json:
            typer.echo(json.dumps({"structure": number} | numbers | warned))
            return
        values = [
            f"{words} {numbers[key]:.4g} {unit}"
            for key, words, unit in (
                ("gap_ev", "gap", "eV"),
                ("fermi_level_ev", "Fermi level", "eV"),
                ("refinement_mae_mev", "refinement", "meV"),
            )
            if numbers.get(key) is not None
        ]
        values += ["kept"] if numbers.get("kept") else []
        typer.echo("  ".join([f"{number:>6}", numbers["formula"], *values]))

    def end(self) -> None:
        """Say which structures were left out or are unlike the training set."""
        total = len(self.structures)
        for note in self.notes:
            say(f"Note: {note}.")
        if self.warned and not self.as_json:
            first = next(iter(self.warned.values()))[0]
            which = _listed(list(self.warned))
            say(f"Warning: {len(self.warned)} of {total}: {which}. {first}")
        if self.bad:
            typer.echo(
                f"Error: {len(self.bad)} of {total} structures are not predicted: "
                f"{_listed(self.bad)}. The others are done.",
                err=True,
            )
            raise typer.Exit(ExitCode.WRONG_INPUT)

    def _read(self) -> Iterator[tuple[int, Atoms]]:
        """The structures that can be read, behind a bar that a pipe does not see."""
        from tqdm.auto import tqdm

        outcomes = tqdm(
            self.structures.outcomes(),
            total=len(self.structures),
            desc="structures",
            leave=False,
            disable=sys.stdout.isatty() or not shows_progress(),
        )
        iterator = iter(outcomes)
        while True:
            with recorded_warnings() as sentences:
                number, outcome = next(iterator, (-1, None))
            if outcome is None:
                return
            self._warn(number, sentences)
            if isinstance(outcome, ValueError):
                self._leave_out(number, str(outcome))
            else:
                yield number, outcome

    def _predicted(self, number: int, atoms: Atoms) -> Predicted | None:
        from workbench.evaluation.predicted import predicted

        try:
            with recorded_warnings() as sentences:
                found = predicted(self.trained, atoms, None, self.n_electrons)
                _ = found.numbers  # computed here, since its errors belong to this structure
        except ValueError as error:
            self._leave_out(number, f"Structure {number} of {self.structures.name}: {error}")
            return None
        self._warn(number, sentences)
        return found

    def _warn(self, number: int, sentences: list[str]) -> None:
        if sentences:
            self.warned.setdefault(number, []).extend(sentences)

    def _leave_out(self, number: int, sentence: str) -> None:
        self.bad.append(number)
        if self.as_json:
            typer.echo(json.dumps({"structure": number, "error": sentence}))
        else:
            say(f"Left out: {sentence}")

    def _is_kept(self, path: Path, number: int, atoms: Atoms) -> bool:
        """Whether a file has this structure's prediction by this model already."""
        from workbench.evaluation.prediction_files import kept

        about = kept(path, atoms, self.origin)
        if about is not None:
            self.tell(number, about | {"written": str(path), "kept": True})
        return about is not None


def _listed(numbers: list[int]) -> str:
    """The first numbers of a list, and how many follow."""
    more = len(numbers) - _LISTED
    return ", ".join(map(str, numbers[:_LISTED])) + (f" and {more} others" if more > 0 else "")
