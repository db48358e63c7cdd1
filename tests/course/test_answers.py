"""Whatever is given as an answer, each check returns a verdict; right answers may be rounded."""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import workbench as wb
from workbench import course
from workbench.course import Verdict, answers
from workbench.course.bench import preferred_axis
from workbench.course.verdict import HIDDEN, explained
from workbench.engines.pyscf_molecules import overlap
from workbench.evaluation.rotation_errors import RotationErrors
from workbench.hamiltonians.wigner import wigner_d
from workbench.training.monitor import StageErrors

R = wb.rotation((1, 2, -1), 50)
GROUPS = np.repeat([0, 1, 2, 3], 4)
XENON = [-27.4, -27.4, -13.4, -13.4, *[-12.1234] * 4]


def modules():
    names = [m.name for m in pkgutil.iter_modules(course.__path__)]
    return [importlib.import_module(f"workbench.course.{name}") for name in names]


CHECKS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": function
    for module in modules()
    for name, function in vars(module).items()
    if inspect.isfunction(function)
    and function.__module__ == module.__name__
    and not name.startswith("_")
    and inspect.signature(function).return_annotation == "Verdict"
    and name not in ("explained", "compared")
}
"""Every check of a task."""

STRANGE = {
    "text": "6.885",
    "no text": "",
    "numbers in a text": "0,2,4",
    "bytes": b"1",
    "None": None,
    "Ellipsis": ...,
    "zero": 0,
    "minus one": -1,
    "half": 1.5,
    "many digits": 10**400,
    "not a number": np.nan,
    "infinity": np.inf,
    "huge": 1e308,
    "huge array": np.full((3, 3), 1e200),
    "complex": 1 + 2j,
    "True": True,
    "empty list": [],
    "empty array": np.array([]),
    "ragged": [[1.0], [1.0, 2.0]],
    "list of None": [None, None],
    "list of texts": ["1o", "x"],
    "three texts": ["a", "b", "c"],
    "list of three": [0.1, 0.2, 0.3],
    "tuple of two": (1, 2),
    "list of arrays": [np.zeros(3), np.zeros(2)],
    "dictionary": {},
    "other dictionary": {"a": "b", 90: None},
    "dictionary of numbers": {90: 6.5},
    "set": {1.5, 2},
    "set of texts": {"0"},
    "range": range(3),
    "generator": (k for k in range(3)),
    "vector": np.zeros(3),
    "matrix": np.zeros((3, 3)),
    "matrix of nan": np.full((3, 3), np.nan),
    "24 x 24": np.ones((24, 24)),
    "complex matrix": 1j * np.ones((3, 3)),
    "2 x 2": np.eye(2) + 1j,
    "array of objects": np.array([None, "a"], dtype=object),
    "array of texts": np.array(["a", "b"]),
    "mask": np.zeros(16, dtype=bool),
    "object": object(),
    "class": Verdict,
    "function of nothing": lambda: 0,
    "function that returns None": lambda *_: None,
    "function that returns text": lambda *_: "text",
    "function that fails": lambda *_: 1 / 0,
    "function with nan": lambda *_: np.full(3, np.nan),
    "function with lists": lambda *_: [[1], [1, 2]],
}


@pytest.fixture(scope="module")
def of_water(water):
    return wb.reference(water, basis="sto-3g", xc="hf")


@pytest.fixture(scope="module")
def judges(water, of_water):
    """Name of each check -> the check as a function of the answer."""
    H, S, n = of_water.H, of_water.S, of_water.n_electrons
    sample, sheet = wb.Dataset("water")[0], wb.Dataset("graphene")[0]
    h = np.diag([1.0, 2.0, 4.0]) + 0.1 * np.arange(9).reshape(3, 3)
    exact = lambda atoms: overlap(atoms, H.basis)  # noqa: E731
    toy = RotationErrors(water, predictors={"toy": preferred_axis(exact)})
    one = StageErrors(0.4, 0.5, 0.6, 1.2, 1.5, 0.4)
    extra = {
        "bench.axes_without_error": (),
        "bench.keeps_axis": (90,),
        "bench.worst_enough": (toy, "toy", 1.0, 0.5),
        "blocks.turned_block": (h, R),
        "blocks.scalar_part": (h,),
        "blocks.on_site_irreps": ("2p", H, 0),
        "comparing.undiluted": (H,),
        "comparing.aligned_zero": (H + 0.1 * S, H, S),
        "comparing.split_by_group": (GROUPS,),
        "comparing.interval": (np.arange(16.0) + 9, np.sin(np.arange(16)), GROUPS),
        "crystals.bloch_sum": ((0, 1), (0.2, 0.1, 0), sheet.H),
        "crystals.dirac_point": (sheet.H, sheet.S, sheet.n_electrons),
        "hamiltonian.block_shape": (H.basis, 8, 1),
        "hamiltonian.inverse_root": (S,),
        "hamiltonian.orbitals_of": (H, S),
        "hamiltonian.gap_of": ([-10.0, -2.0, 1.0, 5.0, 7.5, 20.0], 4),
        "own_model.held_out": (GROUPS,),
        "own_model.matrix_mae": (1.001 * H, H),
        "own_model.density": (H, S, n),
        "rotations.turned_components": ([0.2, 0.9, -0.4], 1, R),
        "rotations.traceless_part": ([1.0, 2.0, 3.0], [0.5, -1.0, 1.0]),
        "rotations.irreps_of_product": ("1o", "2e"),
        "spinors.spin_turn": (90,),
        "spinors.p_splitting": (XENON,),
        "stage_one.message": (),
        "stage_one.nonlinearity": (),
        "stage_one.free_numbers": (2,),
        "stage_two.free_and_equivariant": (),
        "stage_two.turned_pair": (water, H, R),
        "stage_two.orientations_for": (10,),
        "stage_two.error_of_average": (one, 16),
    }
    others = {
        "comparing.flattered": lambda answer: CHECKS["comparing.flattered"](
            sample, 1.001 * sample.H, answer, answer
        ),
        "bench.keeps_axis, angle": lambda answer: CHECKS["bench.keeps_axis"]((1, 0, 0), answer),
    }
    plain = {
        name: lambda answer, name=name, rest=rest: CHECKS[name](answer, *rest)
        for name, rest in extra.items()
    }
    return plain | others


def test_every_check_is_among_them(judges):
    assert {name.partition(",")[0] for name in judges} == set(CHECKS)


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.filterwarnings("error")
def test_no_answer_ends_in_a_traceback(judges, kind):
    for name, judge in judges.items():
        verdict = judge(STRANGE[kind])
        assert isinstance(verdict, Verdict), name
        assert not verdict, name
        assert verdict.why[-1] in ".?", name


def test_objects_of_the_library_in_the_wrong_place_get_a_sentence(judges, water, of_water):
    H = of_water.H
    other = wb.Dataset("water")[0].H  # another basis
    for answer in (
        water,
        H,
        H.basis,
        other,
        wb.Dataset("graphene")[0].H,
        (water, water),
        [water, 1],
    ):
        for name, judge in judges.items():
            assert not judge(answer), name
    assert "the blocks of all atoms" in judges["blocks.turned_block"](H.rotate(R)).why
    assert "give the pair" in judges["stage_two.turned_pair"](water).why
    assert "with all its atoms" in judges["stage_two.turned_pair"]((water[:2], H)).why


@pytest.mark.parametrize(
    ("name", "answer", "says"),
    [
        ("blocks.on_site_irreps", "0,2,4", "give the values of l in curly brackets, e.g. {0, 1}"),
        ("bench.axes_without_error", [6, 8, 18], "give a dictionary {angle: number of places}"),
        ("hamiltonian.gap_of", np.arange(6.0), "the gap is one number"),
        ("hamiltonian.gap_of", "3.000", "give one number; this is a text."),
        ("hamiltonian.gap_of", None, "give one number; this is None."),
        ("stage_one.message", 3.0, "give a function"),
        ("own_model.held_out", "all", "one True or False for each of the 16 frames"),
    ],
)
def test_the_sentence_says_what_to_give(judges, name, answer, says):
    assert says in judges[name](answer).why


def test_a_list_of_irreps_is_as_good_as_their_sum(judges):
    assert judges["rotations.irreps_of_product"](["1o", "2o", "3o"])


# ---- a matrix as its array, a shift by hand ------------------------------------------------------


def test_the_zero_of_energy_may_be_put_right_in_arrays(judges, of_water):
    H, S = of_water.H, of_water.S
    shifted, judge = H + 0.1 * S, judges["comparing.aligned_zero"]
    assert judge(shifted.dense() - 0.1 * S.dense())
    assert judge(shifted - 0.1004 * S), "a shift of three decimals"
    assert "c S also has elements" in judge(shifted.dense() - 0.1 * np.eye(7)).why
    assert "as if H were not known" in judge(H).why
    with pytest.raises(TypeError, match=r"H \+ c \* S"):
        shifted - 0.1  # pyright: ignore


# ---- rounded answers ----------------------------------------------------------------------------


def test_right_answers_may_be_rounded_to_three_decimals(judges, water, of_water):
    H, S = of_water.H, of_water.S
    D = wigner_d(1, R)
    h = np.diag([1.0, 2.0, 4.0]) + 0.1 * np.arange(9).reshape(3, 3)
    a, b = np.array([1.0, 2.0, 3.0]), np.array([0.5, -1.0, 1.0])
    even = (np.outer(a, b) + np.outer(b, a)) / 2
    values, U = np.linalg.eigh(S.dense())
    C = wb.solve(H, S)[1]
    half = np.exp(0.25j * np.pi)
    right = {
        "rotations.turned_components": D @ [0.2, 0.9, -0.4],
        "rotations.traceless_part": even - a @ b / 3 * np.eye(3),
        "blocks.turned_block": D @ h @ D.T,
        "blocks.scalar_part": np.trace(h) / 3 * np.eye(3),
        "hamiltonian.inverse_root": U @ np.diag(values**-0.5) @ U.T,
        "hamiltonian.orbitals_of": C,
        "hamiltonian.gap_of": 3.0004,
        "own_model.matrix_mae": H.mae(),  # a thousandth of H, in meV
        "own_model.density": 2 * C[:, :5] @ C[:, :5].T,
        "comparing.undiluted": 1000 * H.mae(),
        "spinors.spin_turn": np.diag([1 / half, half]),
        "spinors.p_splitting": 13.4 - 12.1234,
        "crystals.dirac_point": np.array([1 / 3, 1 / 3, 0]),
    }
    for name, answer in right.items():
        assert judges[name](answer), name
        assert judges[name](np.round(answer, 3)), name
        assert not judges[name](1.1 * np.asarray(answer)), name


def test_a_rounded_number_is_nearer_to_the_right_one_than_to_a_mistake():
    near = {"a mistake.": 1.0004}
    assert explained(1.0, 1.0, "yes.", near, "no.").right
    assert explained(1.0004, 1.0, "yes.", near, "no.").why == "a mistake."
    assert explained(0.002, 0.001, "yes.", {}, "no.").why == "no.", "small numbers have digits too"


def test_an_example_that_hides_a_mistake_is_named():
    """A rotation about (1, 1, 1) commutes with the change from x, y, z to y, z, x."""
    c = np.array([0.2, 0.9, -0.4])
    about = wb.rotation((1, 1, 1), 75)
    verdict = CHECKS["rotations.turned_components"](about @ c, c, 1, about)
    assert verdict
    assert HIDDEN in verdict.why
    assert "order y, z, x" in verdict.why
    told = CHECKS["rotations.turned_components"](wigner_d(1, R) @ c, c, 1, R)
    assert told
    assert HIDDEN not in told.why


def test_described_names_what_was_given():
    described = answers.described
    assert described({}) == "a dictionary"
    assert described(np.float64(2)) == "a number"
    assert described(object()) == "an object of the type object"
