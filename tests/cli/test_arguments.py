"""Arguments of commands: wrong numbers and mutants of right ones give one sentence, exit code 2.

200 mutants; the environment variable WORKBENCH_MUTANTS sets another number.
"""

from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from itertools import islice
from typing import Any

import pytest
from typer.main import get_command

from tests.support.command_line import run
from tests.support.fuzzing import faults
from tests.support.mutants import count, mutants
from workbench.cli.app import app
from workbench.cli.exit_codes import ExitCode
from workbench.cli.settings import assignments, budget, configured
from workbench.models.config import ModelConfig
from workbench.training.config import TrainConfig

LABEL = "label water --out x.h5 --basis sto-3g --xc hf --sigma 0.1 --train 1 --valid 0 --test 0"
CRYSTAL = "label graphene --out x.h5 --train 1 --valid 0 --test 0"
RIGHT = (
    "train absent.h5 --out run --stage1 600s --stage2 300 --set layers=2 --set cutoff=7.5 --json",
    "part absent.h5 --out p.h5 --train 10 --valid 2 --test 3 --step 1e-5",
    "evaluate --model absent --dataset absent.h5 --split test --limit 5",
    "rotate absent --model absent --axis 1 1 0 --degrees 40 --samples 3 --seed 1 --grid 4",
    "predict absent.xyz --model water --out H.npz",
    "label absent.xyz --out x.h5 --train 5 --sigma 0.05 --supercell 3,3,1 --set mesh=[3,3,1]",
    "import deeph absent --out a.h5 --train 0.6 --valid 0.2 --test 0.2 --seed 0",
    "import qh9 absent.db --out a.h5 --train 0.8 --valid 0.1 --test 0.1 --limit 5",
)


def refused(words: str) -> str:
    """The sentence with which a command is refused."""
    result = run(*words.split())
    assert result.exit_code == ExitCode.WRONG_INPUT, result.output
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert last.endswith(".")
    return last


@pytest.mark.parametrize("value", ["nan", "inf", "1e20", "-1", "0"])
def test_a_part_has_a_sane_step(value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = refused(f"part water --out p.h5 --train 1 --step={value}")
    assert "step must be a number above 0 and at most 1 or None" in said
    assert not list(tmp_path.iterdir())


def test_a_part_has_samples(tmp_path):
    assert "for at least one split" in refused(f"part water --out {tmp_path}/p.h5")


@pytest.mark.parametrize("value", ["0", "-1"])
def test_evaluate_has_a_limit_of_one_or_more(value):
    assert "limit must be a whole number from 1" in refused(f"evaluate --limit={value}")


@pytest.mark.parametrize("shares", ["nan 0.5 0.5", "inf 0 0", "-0.5 0.5 1", "0.5 0.5 0.5"])
def test_shares_of_an_import_add_up_to_one(shares, tmp_path, tiny_path):
    assert run("export", "deeph", tiny_path, "--out", tmp_path / "d").exit_code == 0
    options = zip(("--train", "--valid", "--test"), shares.split(), strict=True)
    words = " ".join(f"{name}={share}" for name, share in options)
    said = refused(f"import deeph {tmp_path}/d --out {tmp_path}/d.h5 {words}")
    assert "numbers from 0 to 1 that add up to 1" in said


def test_the_seed_of_an_import_is_not_negative(tmp_path):
    said = refused(f"import deeph {tmp_path} --out {tmp_path}/d.h5 --seed=-1")
    assert "seed must be a whole number from 0" in said


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("--degrees=nan", "number of degrees"),
        ("--degrees=1e20", "number of degrees"),
        ("--axis 0 0 0", "not all zero"),
        ("--axis nan 0 1", "three finite numbers"),
        ("--samples=0", "samples must be a whole number from 1 to 100000, not 0"),
        ("--samples=1000000000000", "samples must be"),
        ("--samples=2 --seed=-1", "seed must be a whole number from 0"),
    ],
)
def test_rotate_checks_its_numbers(words, part):
    assert part in refused(f"rotate water --xc hf {words}")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (f"{LABEL} --train=-1", "The number of train samples must be a whole number from 0"),
        (f"{LABEL} --train=99999999999999", "The number of train samples must be"),
        (f"{LABEL} --train=0", "for at least one split"),
        (f"{LABEL} --sigma=nan", "Displaced.sigma must be a number from 0 to 100"),
        (f"{LABEL} --seed=-1", "seed must be a whole number from 0"),
        (f"{LABEL} --processes=0", "processes must be -1 or a whole number from 1 to 4096"),
        (f"{LABEL} --allow-failures=-1", "allow_failures must be"),
        (f"{LABEL} --grid=10", "grid must be a whole number from 0 to 9"),
        (f"{LABEL} --gradient=nan", "conv_tol_grad must be a number above 0 and at most 1"),
        (f"{LABEL} --gradient=0", "conv_tol_grad must be"),
        (f"{LABEL} --max-cycle=0", "max_cycle must be a whole number from 1"),
        (f"{LABEL} --set grid=true", "grid must be a whole number from 0 to 9, not True"),
        (f"{LABEL} --set conv_tol=NaN", "conv_tol must be"),
        (f"{LABEL} --set density_fitting=1", "density_fitting must be true or false, not 1"),
        (f"{LABEL} --temperature=-5", "Langevin.temperature_K must be a number from 0"),
        ("label organic --out x.h5 --largest=0", "largest must be a whole number from 1"),
        (f"{CRYSTAL} --strain=inf", "Displaced.strain must be a number from 0 to 1"),
        (f"{CRYSTAL} --supercell=0,1,1", "not a valid supercell"),
        (f"{CRYSTAL} --supercell=1000000,1000,1000", "more than 500000"),
        (f"{CRYSTAL} --set mesh=[0,0,0]", "mesh must be a list of 3 entries, each a whole number"),
        (f"{CRYSTAL} --set mesh=[3,3]", "mesh must be a list of 3 entries"),
        (f"{CRYSTAL} --set mesh=3", "mesh must be a list of 3 entries"),
        (f"{CRYSTAL} --set ke_cutoff=1e400", "ke_cutoff must be a number from 1 to 10000"),
        (f"{CRYSTAL} --set smearing=0", "smearing must be a number above 0"),
        (f"{CRYSTAL} --set pseudo=3", "pseudo must be a word, not 3"),
        (f"{CRYSTAL} --set mesh={'[' * 3000}", "is not a setting"),
        (
            "label bilayer-graphene --out x.h5 --twist 99999,100000",
            "m must be a whole number from 1 to 10000",
        ),
        ("label bilayer-graphene --out x.h5 --twist 9999,10000", "more than 500000"),
    ],
)
def test_label_checks_its_numbers_before_any_work(words, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert part in refused(words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text", ["-5", "infs", "nans", "1e400s", "-1s", "1e3", "s", "", "9" * 5000, "soon", "9" * 30]
)
def test_a_text_that_is_no_budget_is_one_sentence(text):
    with pytest.raises(ValueError, match="is not a budget: give CPU seconds") as caught:
        budget(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("text", ["0", "0s", "5000", "600s", "1.5s"])
def test_zero_is_a_budget(text):
    budget(text)


@pytest.mark.parametrize(
    ("setting", "part"),
    [
        ("layers=two", r"ModelConfig.layers must be a whole number from 1 to 64, not 'two'\."),
        ("channels=true", r"ModelConfig.channels must be .*, not True\."),
        ('cutoff="x"', r"at most 100, 'data' or None, not 'x'\."),
        ("lmax=1e9", r"ModelConfig.lmax must be a whole number from 0 to 12"),
        ("batch_size=0", r"TrainConfig.batch_size must be a whole number from 1"),
        ("ema=NaN", r"TrainConfig.ema must be a number from 0 to 1, not nan"),
        ("stage1=5", "an option of its own: --stage1 600s"),
        ("layers=" + "9" * 5000, "is not a setting"),
        ("cutoff=" + "[" * 10**5, "is not a setting"),
        ("=5", "There is no setting ''"),
    ],
)
def test_a_setting_that_cannot_be_is_one_sentence(setting, part):
    with pytest.raises(ValueError, match=part) as caught:
        configured([setting], ModelConfig(), TrainConfig())
    assert len(str(caught.value)) < 300


def test_a_setting_may_be_any_json():
    assert assignments(["a=null", "b=[1,2]", 'c="x y"']) == {"a": None, "b": [1, 2], "c": "x y"}


def ended(command: Any, words: list[str]) -> tuple[Any, str]:
    """The exit code of a command, and what it wrote to stderr."""
    said, code = StringIO(), None
    with redirect_stdout(StringIO()), redirect_stderr(said):
        try:
            command(words)
        except SystemExit as end:
            code = end.code
    return code, said.getvalue().strip()


def argument_faults() -> Iterator[str | None]:
    """Each mutant of a command line ends with one sentence or, in the cases of typer, its usage."""
    command = get_command(app)  # once: to make it takes longer than to run it
    for number, line in enumerate(RIGHT):
        data = line.replace(" ", "\n").encode()
        for mutant in islice(mutants(data, seed=number), count(200) // len(RIGHT)):
            words = mutant.decode("latin-1").replace("\0", "").split("\n")
            if words[0] in ("lab", "class"):  # servers
                continue
            code, said = ended(command, words)
            sentence = said.splitlines()[-1] if "Error: " in said else "."  # else typer's usage
            good = code == 0 or (code == ExitCode.WRONG_INPUT and sentence.endswith((".", "?")))
            yield None if good else f"{words}: {code}, {said[-300:]!r}"


def test_every_mutant_of_a_command_line_is_done_or_refused():
    assert not faults(argument_faults)
