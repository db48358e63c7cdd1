"""`label --index :`: the structures of a file are labelled as they are, in splits of runs."""

import numpy as np
import pytest

import workbench as wb
from tests.support.command_line import numbers_of, refusal

CHEAP = ("--basis", "sto-3g", "--xc", "hf", "--processes", 1)
BONDS = np.round(np.linspace(0.70, 0.88, 10), 2)


def h2(bond: float) -> str:
    return f"2\n\nH 0 0 0\nH 0 {bond:.2f} 0\n"


@pytest.fixture
def frames(tmp_path):
    path = tmp_path / "frames.xyz"
    path.write_text("".join(map(h2, BONDS)))
    return path


def test_all_are_labelled_as_they_are_and_neighbours_stay_together(frames, tmp_path):
    job = ("label", frames, "--index", ":", "--out", tmp_path / "all.h5", *CHEAP)
    made = numbers_of(*job)
    assert made["splits"] == {"train": 6, "valid": 2, "test": 2}
    assert numbers_of(*job) == made  # the same job is done
    with wb.Dataset(made["path"]) as data:
        positions = np.stack([data[i].atoms.positions for i in range(10)])
        np.testing.assert_array_equal(positions[:, 1], np.outer(BONDS, [0, 1, 0]))
        assert data.split("test").tolist() == [8, 9]
        sample = data[4]
        again = wb.reference(sample.atoms, basis="sto-3g", xc="hf")
        assert (sample.H - again.H).max_abs() < 1e-7


def test_a_slice_in_splits_of_stated_sizes(frames, tmp_path):
    sizes = ("--train", 3, "--test", 1)
    made = numbers_of(
        "label", frames, "--index", "::3", *sizes, "--out", tmp_path / "some.h5", *CHEAP
    )
    assert made["splits"] == {"train": 3, "test": 1}
    with wb.Dataset(made["path"]) as data:
        bonds = [data[i].atoms.get_distance(0, 1) for i in range(4)]
    np.testing.assert_allclose(bonds, BONDS[::3])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--train", 5), "chooses 10 structures, and --train, --valid and --test add up to 5"),
        (("--train", 12, "--test", -2), "add up to 10: choose other numbers"),
        (("--sigma", 0.1), "are labelled as they are: omit --sigma"),
    ],
)
def test_what_contradicts_a_slice_is_refused(frames, tmp_path, words, sentence):
    out = tmp_path / "no.h5"
    assert sentence in refusal("label", frames, "--index", ":", *words, "--out", out, *CHEAP)
    assert not out.exists()


def test_a_number_chooses_the_structure_to_sample_and_words_are_refused(frames, tmp_path):
    sampled = ("--sigma", 0.01, "--train", 2, "--valid", 0, "--test", 0, *CHEAP)
    made = numbers_of("label", frames, "--index", 9, "--out", tmp_path / "one.h5", *sampled)
    assert made["splits"] == {"train": 2}
    with wb.Dataset(made["path"]) as data:
        assert data[0].atoms.get_distance(0, 1) == pytest.approx(BONDS[9], abs=0.05)
    wrong = refusal("label", frames, "--index", "last", "--out", tmp_path / "no.h5", *sampled)
    assert "--index is 'last': give a number from 0, or a slice such as 0:10" in wrong


def test_bad_and_repeated_structures_are_named_before_any_work(tmp_path):
    path, out = tmp_path / "bad.xyz", tmp_path / "bad.h5"
    path.write_text(h2(0.7) + h2(0.01) + h2(0.8))
    assert "Structure 1 of bad.xyz" in refusal("label", path, "--index", ":", "--out", out, *CHEAP)
    path.write_text(h2(0.7) + h2(0.8) + h2(0.7))
    twice = refusal("label", path, "--index", ":", "--out", out, *CHEAP)
    assert "H2 is there twice (train and test, structures 0 and 2 counted from 0)" in twice
    assert not out.exists()
