"""Makes the golden model and what it predicted, once; ``python tests/data/make_golden.py``.

The files are kept so that a later version must still load them and predict the same. Make them
anew only together with a new CONVENTION_VERSION.
"""

import json
from pathlib import Path

import torch
from ase import Atoms

from workbench.hamiltonians.basis import Basis
from workbench.hamiltonians.irreps import BlockIrreps
from workbench.models.checkpoint import save_model
from workbench.models.config import ModelConfig
from workbench.models.scaling import BlockScaler, Scaling
from workbench.models.twostage import TwoStageModel

HERE = Path(__file__).parent
BASIS = Basis("sto-3g", {1: (0,), 8: (0, 0, 1)})
CONFIG = ModelConfig(
    guess="none",
    cutoff=10.0,
    lmax=2,
    pseudo_lmax=1,
    channels=4,
    layers=1,
    radial=8,
    readout=8,
    pair_readout=8,
    refiner_width=16,
    refiner_heads=2,
    refiner_layers=1,
)


def golden_atoms() -> Atoms:
    """A bent, rotated water."""
    return Atoms("OHH", [[0.1, -0.2, 0.3], [0.9, 0.3, 0.4], [-0.6, 0.4, 0.1]])


def make() -> TwoStageModel:
    """Random weights and scales; stage 2's heads too, so that it takes part."""
    torch.manual_seed(0)
    irreps = BlockIrreps(BASIS)
    scaler, paths = BlockScaler(irreps), len(irreps.paths)

    def scale(rows: int, index: object) -> torch.Tensor:
        return torch.rand(rows, paths, dtype=torch.float64)[:, index]

    zero = torch.zeros(2, BASIS.dim**2, dtype=torch.float64)
    scaling = Scaling(
        zero,
        scale(2, irreps.path_index),
        torch.cat([zero, zero]),
        scale(4, scaler.framed_path),
        scale(2, irreps.path_index),
        scale(4, irreps.path_index),
    )
    model = TwoStageModel(BASIS, CONFIG, scaling)
    for head in (model.refiner.node_head, model.refiner.pair_head):
        torch.nn.init.normal_(head.readout.shared[0], std=0.1)
    return model


if __name__ == "__main__":
    model = make()
    save_model(model, HERE / "golden.safetensors", {"note": "random weights, for tests"})
    prediction = model.predict(golden_atoms())
    found = {
        "baseline": prediction.baseline.dense().tolist(),
        "refined": prediction.refined.dense().tolist(),
    }
    (HERE / "golden.json").write_text(json.dumps(found))
